//! os-release(5) → which distribution it is.

use crate::model::Distribution;

/// Reads the file; lines that are no assignment are passed over, as the manual says.
#[must_use]
pub fn parse(text: &str) -> Distribution {
    let mut found = Distribution::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let value = unquote(value.trim());
        let some = || Some(value.clone()).filter(|value| !value.is_empty());
        match key {
            "ID" => found.id = value,
            "ID_LIKE" => found.like = value.split_whitespace().map(str::to_owned).collect(),
            "VERSION_ID" => found.version = some(),
            "VERSION_CODENAME" => found.codename = some(),
            "PRETTY_NAME" => found.title = some(),
            "CPE_NAME" => found.cpe = some(),
            _ => {}
        }
    }
    if found.cpe.is_none() && found.id == "debian" {
        found.cpe = found.version.as_deref().map(debian_cpe);
    }
    found
}

/// Debian writes no `CPE_NAME`; this is what the dictionary of the NVD calls its numbered releases. Debian's packages have
/// no such names, nor have Fedora's: what others write there is guessed from names, and we guess nothing.
fn debian_cpe(version: &str) -> String {
    let minor = if version.contains('.') { "" } else { ".0" };
    format!("cpe:2.3:o:debian:debian_linux:{version}{minor}:*:*:*:*:*:*:*")
}

/// A value as the shell would read it: in quotes or not, with a backslash before what is meant literally.
fn unquote(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.map_or(value, |quote| value.trim_matches(quote));
    if quote == Some('\'') {
        return inner.to_owned();
    }
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' { text.extend(letters.next()) } else { text.push(letter) }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_a_shell_would() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\nID_LIKE='a b'\n# c\nVERSION_CODENAME=forky\nCPE_NAME=\"cpe:\\\"x\"\nVERSION_ID=\n";
        let found = parse(text);
        assert_eq!(
            (found.id.as_str(), found.like.as_slice()),
            ("debian", ["a".to_owned(), "b".to_owned()].as_slice())
        );
        assert_eq!(found.title.as_deref(), Some("Debian GNU/Linux forky/sid"));
        assert_eq!((found.version, found.codename.as_deref()), (None, Some("forky")));
        assert_eq!(found.cpe.as_deref(), Some("cpe:\"x"));
    }

    #[test]
    fn debian_has_the_name_that_the_nvd_gives_its_releases() {
        let cpe = |text: &str| parse(text).cpe;
        let numbered = "cpe:2.3:o:debian:debian_linux:13.0:*:*:*:*:*:*:*";
        assert_eq!(cpe("ID=debian\nVERSION_ID=13\n").as_deref(), Some(numbered));
        assert_eq!(cpe("ID=debian\nVERSION_CODENAME=forky\n"), None);
        assert_eq!(cpe("ID=other\nVERSION_ID=13\n"), None);
    }
}
