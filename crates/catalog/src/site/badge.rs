//! Badges: small pictures with one number, for pages of elsewhere. SVG without scripts and without anything that is loaded.

use super::feed::escaped;
use super::view::Counts;

/// Colours that white text can be read on.
const GOOD: &str = "#1c6b39";
const BAD: &str = "#96112a";
const MIDDLE: &str = "#7a5800";
const PLAIN: &str = "#0a58a8";
const GREY: &str = "#555d67";

/// The picture in the tab.
pub(super) const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" \
rx=\"7\" fill=\"#0a58a8\"/><path d=\"M22 11a8 8 0 1 0 0 10\" fill=\"none\" stroke=\"#fff\" stroke-width=\"4\" \
stroke-linecap=\"round\"/></svg>\n";

/// How many flaws count.
pub(super) fn flaws(counts: Option<&Counts>) -> String {
    match counts {
        None => badge("known flaws", "not scanned", GREY),
        Some(counts) if counts.all == 0 => badge("known flaws", "none", GOOD),
        Some(counts) => {
            let grave = ["critical", "high"].iter().any(|word| counts.by_severity.contains_key(*word));
            badge("known flaws", &counts.all.to_string(), if grave { BAD } else { MIDDLE })
        }
    }
}

/// Something that is neither good nor bad.
pub(super) fn plain(label: &str, value: &str) -> String {
    let value: String = value.chars().take(40).collect();
    badge(label, &value, PLAIN)
}

fn badge(label: &str, value: &str, colour: &str) -> String {
    // About the width of a character at this size; `textLength` makes it exact.
    let width = |text: &str| text.chars().count() * 7;
    let (left, right) = (width(label) + 12, width(value) + 12);
    let all = left + right;
    let (label_width, value_width) = (width(label), width(value));
    let (label, value) = (escaped(label), escaped(value));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{label}: {value}\">\
         <title>{label}: {value}</title><rect width=\"{all}\" height=\"20\" rx=\"3\" fill=\"#333a42\"/>\
         <path d=\"M{left} 0h{} a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-{}z\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"6\" y=\"14\" textLength=\"{label_width}\">{label}</text>\
         <text x=\"{}\" y=\"14\" textLength=\"{value_width}\">{value}</text></g></svg>\n",
        right - 3,
        right - 3,
        left + 6
    )
}
