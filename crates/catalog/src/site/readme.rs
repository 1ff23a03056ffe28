//! Markdown of a family's page → HTML that is safe to show: no HTML of its own, links to the web or within the site only,
//! headings below those of the page.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Renders a text. The first heading is left out: the page has it.
pub(super) fn render(markdown: &str) -> Markup {
    let mut titles = Titles::Ahead;
    let parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    let events = parser.filter(move |event| !titles.takes(event)).flat_map(shown);
    let mut text = String::new();
    html::push_html(&mut text, events);
    PreEscaped(without_styles(&text))
}

/// Where in the text the first heading is.
enum Titles {
    Ahead,
    Here,
    Behind,
}

impl Titles {
    /// Whether an event is a part of it.
    fn takes(&mut self, event: &Event<'_>) -> bool {
        match (&self, event) {
            (Self::Ahead, Event::Start(Tag::Heading { level: HeadingLevel::H1, .. })) => *self = Self::Here,
            (Self::Here, Event::End(TagEnd::Heading(_))) => *self = Self::Behind,
            (Self::Here, _) => {}
            _ => return false,
        }
        true
    }
}

/// What is shown of an event. What scrolls by itself can be reached by keyboard.
fn shown(event: Event<'_>) -> Vec<Event<'_>> {
    let html = |text: &'static str| Event::Html(CowStr::Borrowed(text));
    match event {
        Event::Start(Tag::CodeBlock(_)) => vec![html("<pre tabindex=\"0\"><code>")],
        Event::End(TagEnd::CodeBlock) => vec![html("</code></pre>\n")],
        Event::Start(Tag::Table(alignments)) => {
            let around = html("<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">");
            vec![around, Event::Start(Tag::Table(alignments))]
        }
        Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), html("</div>\n")],
        // Pictures of elsewhere are not loaded; their texts stay.
        Event::Html(_)
        | Event::InlineHtml(_)
        | Event::Start(Tag::HtmlBlock | Tag::Image { .. })
        | Event::End(TagEnd::HtmlBlock | TagEnd::Image) => Vec::new(),
        Event::Start(Tag::Heading { level, .. }) => {
            let level = lower(level);
            vec![Event::Start(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() })]
        }
        Event::End(TagEnd::Heading(level)) => vec![Event::End(TagEnd::Heading(lower(level)))],
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            vec![Event::Start(Tag::Link { link_type, dest_url: address(dest_url), title, id })]
        }
        other => vec![other],
    }
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
