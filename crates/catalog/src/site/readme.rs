//! Markdown of a family's page → HTML that is safe to show: no HTML of its own, links to the web or within the site only,
//! headings below those of the page.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Renders a text. The first heading is left out: the page has it.
pub(super) fn render(markdown: &str) -> Markup {
    let mut first = true;
    let mut in_title = false;
    let parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    let events = parser.filter_map(move |event| match event {
        Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) if first => {
            (first, in_title) = (false, true);
            None
        }
        Event::End(TagEnd::Heading(HeadingLevel::H1)) if in_title => {
            in_title = false;
            None
        }
        _ if in_title => None,
        // A block that scrolls by itself must be reached by keyboard.
        Event::Start(Tag::CodeBlock(_)) => Some(Event::Html(CowStr::Borrowed("<pre tabindex=\"0\"><code>"))),
        Event::End(TagEnd::CodeBlock) => Some(Event::Html(CowStr::Borrowed("</code></pre>\n"))),
        Event::Html(_)
        | Event::InlineHtml(_)
        | Event::Start(Tag::HtmlBlock)
        | Event::End(TagEnd::HtmlBlock) => None,
        Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
            level: lower(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Some(Event::Start(Tag::Link { link_type, dest_url: address(dest_url), title, id }))
        }
        // Pictures of elsewhere are not loaded; their texts stay.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        other => Some(other),
    });
    let mut text = String::new();
    html::push_html(&mut text, events);
    PreEscaped(without_styles(&text))
}

/// Alignments come as inline styles, which the site's policy forbids: they become classes.
fn without_styles(text: &str) -> String {
    let mut out = String::new();
    for (place, piece) in text.split(" style=\"text-align: ").enumerate() {
        match piece.split_once('"').filter(|_| place > 0) {
            Some((alignment, rest)) => {
                if alignment == "right" {
                    out.push_str(" class=\"number\"");
                }
                out.push_str(rest);
            }
            None => {
                let _ = write!(out, "{piece}");
            }
        }
    }
    out
}

const fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 | HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        _ => HeadingLevel::H5,
    }
}

/// Addresses of the web stay; of pages beside it become those of the site; anything else leads nowhere.
fn address(text: CowStr<'_>) -> CowStr<'_> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return text;
    }
    let name = text.strip_suffix(".md").filter(|name| calypte_store::registry::is_repository_name(name));
    CowStr::from(name.map_or_else(|| "#content".to_owned(), super::address::repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_rendered_below_its_own_heading() {
        let text = render(
            "# Title\n\n<!-- x -->\n\nText with `code`.\n\n## Part\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n",
        );
        let text = text.into_string();
        assert!(!text.contains("Title") && !text.contains("<!--"), "{text}");
        assert!(text.contains("<h3>Part</h3>") && text.contains("<code>code</code>"), "{text}");
        assert!(text.contains("<td class=\"number\">2</td>") && !text.contains("style="), "{text}");
    }

    #[test]
    fn what_would_run_is_not_there() {
        let hostile = "<script>alert(1)</script>\n\n[a](javascript:alert(1)) <b onclick=x>b</b> ![x](https://e/x.png)\n\n\
                       ```\n</code></pre><script>\n```\n\n[ok](https://example.org/) [valkey](valkey.md) [up](../x)\n";
        let text = render(hostile).into_string();
        for bad in ["<script", "javascript:", "onclick", "<img", "<b "] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
        assert!(text.contains("&lt;script&gt;"), "{text}");
        assert!(
            text.contains("href=\"https://example.org/\"") && text.contains("href=\"/images/valkey\""),
            "{text}"
        );
    }
}
