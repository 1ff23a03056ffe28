//! The page that tells programs' authors what there is.

use maud::html;

use super::Asked;
use super::frame::{self, Part};

const ADDRESSES: [(&str, &str); 7] = [
    ("/api/v1/images", "All repositories; narrowed by q, category, architecture and flaws, as the list is."),
    ("/api/v1/images/{name}", "One repository with its images and tags."),
    (
        "/api/v1/images/{name}/-/{tag or digest}",
        "One image; by a machine's digest also packages, flaws and statements.",
    ),
    (
        "/api/v1/images/{name}/-/{tag or digest}/changes",
        "What changed since the image before, or since from, and what that update costs.",
    ),
    ("/api/v1/flaws", "All flaws; narrowed by q and severity."),
    ("/api/v1/flaws/{flaw}", "One flaw, and where it is."),
    ("/api/v1/status", "The state of things: the pipeline, the feeds."),
];

/// The page.
pub(super) fn page(asked: &Asked<'_>) -> String {
    let base = asked.base();
    let rows = html! {
        @for (address, about) in ADDRESSES { tr { th scope="row" { code { (address) } } td { (about) } } }
    };
    let content = html! {
        h1 { "API" }
        p.lead { "Everything that pages show is there as JSON, without a login. " a href="/api/v1/openapi.json" { "OpenAPI description" } }
        (frame::table("Addresses of the API", false, &["Address", "What it gives"], &rows))
        (frame::command(&format!("curl {base}/api/v1/images?q=web")))
        h2 { "Feeds" }
        ul {
            li { a href="/feeds/images.atom" { "Images" } ", and " code { "/feeds/images/{name}.atom" } " for those of one repository" }
            li { a href="/feeds/flaws.atom" { "Flaws that count" } }
        }
        h2 { "Badges" }
        p { "Pictures for pages of elsewhere: " code { "/badges/{name}/-/{tag}/flaws.svg" } ", " code { "size.svg" } " and " code { "version.svg" } "." }
        (frame::command(&format!("![known flaws]({base}/badges/nginx/-/latest/flaws.svg)")))
        h2 { "Registry" }
        p { "The same server answers the distribution API of OCI 1.1 below " code { "/v2/" } ": pulling, referrers and, with the token, pushing." }
    };
    frame::page(Part::Api, "API", None, &content)
}
