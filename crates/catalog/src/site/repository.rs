//! The page of a repository: how to have its images, their tags, sizes and flaws, and what its makers say.

use maud::{Markup, html};

use super::address;
use super::frame::{self, Part};
use super::given::{Family, Given};
use super::shelf::{Repository, Tagged};
use super::view::{self, Summary};
use super::{Asked, history, readme};

/// The page.
pub(super) fn page(repository: &Repository, given: &Given, asked: &Asked<'_>) -> String {
    let summary = Summary::of(repository, given);
    let family = given.families.get(&repository.name);
    let feed = format!("/feeds/images/{}.atom", repository.name);
    let content = html! {
        (frame::crumbs(&[("/".to_owned(), "Images".to_owned())], &repository.name))
        h1 { (summary.title) }
        p.lead { (summary.description) }
        @if summary.ended { p.note.bad { "Its makers support none of these any more." } }
        (facts(&repository.name, family))
        (pull(repository, asked))
        h2 id="tags" { "Images and tags" }
        (images(repository, given))
        p { a href=(feed) { "Feed of changes" } " · " a href=(format!("/api/v1/images/{}", repository.name)) { "As JSON" } }
        @if let Some(main) = repository.images.first() {
            @let image = name(main, given);
            (history::part(&image, given.history.get(&image).map_or(&[], Vec::as_slice)))
        }
        @if let Some(family) = family {
            @if family.streams.iter().any(|stream| stream.name.is_some()) { (streams(family)) }
            @if !family.readme.is_empty() {
                h2 id="about" { "About" }
                div.readme { (readme::render(&family.readme)) }
            }
        }
    };
    frame::page(Part::Images, &summary.title, Some(&feed), &content)
}

fn facts(name: &str, family: Option<&Family>) -> Markup {
    html! {
        dl.pairs {
            dt { "Repository" } dd { code { (name) } }
            @if let Some(family) = family {
                @if let Some(home) = family.home.as_deref().filter(|home| home.starts_with("https://") || home.starts_with("http://")) {
                    dt { "Home of the software" } dd { a href=(home) rel="noreferrer" { (home) } }
                }
                @if let Some(licence) = &family.licence { dt { "Licence" } dd { code { (licence) } } }
                dt { "Shelf" } dd { a href=(format!("/?category={}", address::encoded(&family.category))) { (family.category) } }
            } @else {
                dt { "Definition" } dd { "The catalog defines no such family: this was pushed by somebody else." }
            }
        }
    }
}

fn pull(repository: &Repository, asked: &Asked<'_>) -> Markup {
    let main = repository.images.first();
    let tag = main
        .and_then(|tagged| tagged.tags.iter().find(|tag| *tag == "latest").or_else(|| tagged.tags.first()));
    html! {
        @if let (Some(main), Some(tag)) = (main, tag) {
            h2 id="pull" { "Pull" }
            (frame::command(&format!("podman pull {}{}/{}:{tag}", frame::plain(asked), asked.host, repository.name)))
            p { "The same image for ever, by its digest:" }
            (frame::command(&format!("podman pull {}{}/{}@{}", frame::plain(asked), asked.host, repository.name, main.image.digest)))
        }
    }
}

fn images(repository: &Repository, given: &Given) -> Markup {
    let rows = html! {
        @for tagged in &repository.images {
            tr {
                th scope="row" { a href=(address::of_image(&repository.name, tagged.image.digest)) { (name(tagged, given)) } }
                td.tags { @for tag in &tagged.tags { a href=(address::of_image(&repository.name, tag)) { (tag) } } }
                td { (view::architectures(tagged).collect::<Vec<_>>().join(", ")) }
                td.number { @if let Some(first) = tagged.image.platforms.first() { (frame::bytes(first.size)) } }
                td { @if let Some(first) = tagged.image.platforms.first() { (frame::counts(view::counts(first, given).as_ref())) } }
                td { @if let Some(moved) = tagged.moved { (frame::time(moved)) } }
                td { (frame::digest(&tagged.image.digest)) }
            }
        }
    };
    frame::table(
        "Images and tags",
        false,
        &["Image", "Tags", "For", "#Download", "Flaws", "Since", "Digest"],
        &rows,
    )
}

/// What an image is called: as in the catalog, otherwise by its first tag.
pub(super) fn name(tagged: &Tagged, given: &Given) -> String {
    let tag = || tagged.tags.first().cloned().unwrap_or_default();
    view::known(&tagged.image, given).map_or_else(tag, |known| known.image.clone())
}

fn streams(family: &Family) -> Markup {
    let rows = html! {
        @for stream in &family.streams {
            tr {
                th scope="row" { (stream.name.as_deref().unwrap_or("–")) }
                td { @if stream.ended { span.word.high { "end of life" } " " } (stream.support) }
            }
        }
    };
    html! {
        h2 id="support" { "Support" }
        (frame::table("Support", false, &["Stream", "By its makers"], &rows))
    }
}
