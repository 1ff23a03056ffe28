//! How many flaws counted on each day, as a chart and as the table behind it. Bars say how bad by their place and their colour;
//! who sees neither reads the table.

use maud::{Markup, html};

use super::frame;
use super::given::DayCount;
use super::view::SEVERITIES;

/// The chart's size; days share its width.
const WIDTH: usize = 720;
const HEIGHT: usize = 120;

/// Most days that are shown.
const DAYS: usize = 90;

/// The part of a page; nothing where nothing was counted yet.
pub(super) fn part(image: &str, days: &[DayCount]) -> Markup {
    let days = days.get(days.len().saturating_sub(DAYS)..).unwrap_or_default();
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return html! {} };
    let label = format!(
        "Known flaws of {image} from {} to {}: {} at first, {} now",
        first.day,
        last.day,
        first.all(),
        last.all()
    );
    html! {
        h2 id="history" { "Known flaws over time" }
        (chart(days, &label))
        p.quiet { "Those that counted in " code { (image) } ", " (first.day) " to " (last.day) "; at most " (most(days)) " on a day." }
        details {
            summary { "As a table" }
            (table(days))
        }
    }
}

fn most(days: &[DayCount]) -> usize {
    days.iter().map(DayCount::all).max().unwrap_or_default()
}

fn chart(days: &[DayCount], label: &str) -> Markup {
    let most = most(days).max(1);
    let step = WIDTH / days.len().max(12);
    let mut bars = Vec::new();
    for (place, day) in days.iter().enumerate() {
        let mut below = 0;
        // The worst stand at the bottom, where they are seen first.
        for word in SEVERITIES {
            let count = day.by_severity.get(word).copied().unwrap_or_default();
            let (from, to) = (below * HEIGHT / most, (below + count) * HEIGHT / most);
            if to > from {
                bars.push((place * step, HEIGHT - to, to - from, word));
            }
            below += count;
        }
    }
    html! {
        svg.chart role="img" aria-label=(label) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + 2)) {
            @for (x, y, height, word) in bars {
                rect class=(word) x=(x) y=(y) width=(step.saturating_sub(1).max(1)) height=(height) fill="currentColor" {}
            }
            rect.base x="0" y=(HEIGHT) width=(WIDTH) height="1" fill="currentColor" {}
        }
    }
}

fn table(days: &[DayCount]) -> Markup {
    let rows = html! {
        @for day in days.iter().rev() {
            tr {
                th scope="row" { (day.day) }
                @for word in SEVERITIES { td.number { (day.by_severity.get(word).copied().unwrap_or_default()) } }
            }
        }
    };
    let heads: Vec<String> = SEVERITIES.iter().map(|word| format!("#{word}")).collect();
    let heads: Vec<&str> = std::iter::once("Day").chain(heads.iter().map(String::as_str)).collect();
    frame::table("Known flaws by day", days.len() > 12, &heads, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, high: usize, low: usize) -> DayCount {
        let by_severity = [("high", high), ("low", low)].map(|(word, count)| (word.to_owned(), count));
        DayCount { day: day.to_owned(), by_severity: by_severity.into() }
    }

    #[test]
    fn bars_are_as_high_as_the_counts() {
        assert_eq!(part("a", &[]).into_string(), "");
        let text = part("a", &[day("2026-01-01", 1, 3), day("2026-01-02", 0, 2), day("2026-01-03", 0, 0)])
            .into_string();
        // A quarter of the height at the bottom, three quarters upon it; on the second day half of it.
        for bar in [
            "class=\"high\" x=\"0\" y=\"90\" width=\"59\" height=\"30\"",
            "class=\"low\" x=\"0\" y=\"0\" width=\"59\" height=\"90\"",
            "class=\"low\" x=\"60\" y=\"60\" width=\"59\" height=\"60\"",
        ] {
            assert!(text.contains(bar), "{bar} in {text}");
        }
        assert!(text.contains("from 2026-01-01 to 2026-01-03: 4 at first, 0 now"), "{text}");
    }

    #[test]
    fn no_number_of_days_or_flaws_breaks_it() {
        let days: Vec<_> = (0..1000).map(|number| day(&number.to_string(), number * 1_000_000, 1)).collect();
        let text = part("a", &days).into_string();
        assert!(text.contains("from 910 to 999"), "{}", &text[..300]);
    }
}
