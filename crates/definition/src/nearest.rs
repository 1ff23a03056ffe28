//! "Did you mean": from a name that does not exist and those that do, the one that was probably meant.

/// The candidate nearest to `name` by edits (insert, delete, replace, swap), if it is near enough to be a slip of the
/// hand: at most a third of its letters, at least one. The first of equals.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Advice for an unknown name: the nearest one, and all that there are.
pub(crate) fn advice(name: &str, candidates: &[&str], valid: &str) -> String {
    let all = listed(candidates);
    match nearest(name, candidates.iter().copied()) {
        _ if candidates.is_empty() => format!("there are no {valid}"),
        Some(meant) => format!("did you mean `{meant}`? {valid}: {all}"),
        None => format!("{valid}: {all}"),
    }
}

/// Names in backticks, separated by commas.
pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["entrypoint", "environment", "cmd"];
        for (name, expected) in [
            ("entrypont", Some("entrypoint")),
            ("enviroment", Some("environment")),
            ("cdm", Some("cmd")),
            ("volumes", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }
}
