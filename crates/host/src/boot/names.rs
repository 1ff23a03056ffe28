//! Names of boot entries, as the automatic boot assessment of systemd has them: `name+LEFT-DONE.efi`.

use calypte_composefs::VerityDigest;

/// Tries that a new deployment has.
pub const TRIES: u32 = 3;

/// How often an entry may still be tried, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Tries left.
    pub left: u32,
    /// Tries done.
    pub done: u32,
}

/// A file name of an entry, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) name: String,
    pub(crate) tries: Option<Tries>,
    /// `conf` or `efi`.
    pub(crate) extension: String,
}

impl FileName {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stem, extension) = text.rsplit_once('.')?;
        if !matches!(extension, "conf" | "efi") {
            return None;
        }
        let made = |name: &str, tries| Self { name: name.to_owned(), tries, extension: extension.to_owned() };
        let Some((name, counter)) = stem.rsplit_once('+') else { return Some(made(stem, None)) };
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        match (left.parse(), done.parse()) {
            (Ok(left), Ok(done)) => Some(made(name, Some(Tries { left, done }))),
            _ => Some(made(stem, None)),
        }
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)?;
        match self.tries {
            Some(Tries { left, done: 0 }) => write!(formatter, "+{left}")?,
            Some(Tries { left, done }) => write!(formatter, "+{left}-{done}")?,
            None => {}
        }
        write!(formatter, ".{}", self.extension)
    }
}

/// The name of a deployment's entry: which system, which version, and of which tree.
pub(crate) fn entry_name(id: &str, version: &str, digest: &VerityDigest) -> String {
    let clean = |text: &str| -> String {
        let kept = |letter: char| letter.is_ascii_alphanumeric() || "._~^-".contains(letter);
        text.chars().take(80).map(|letter| if kept(letter) { letter } else { '_' }).collect()
    };
    let hex = digest.to_string();
    format!("{}-{}-{}", clean(id), clean(version), hex.get(..12).unwrap_or(&hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together() {
        let cases = [
            ("os-1-abc+3.efi", "os-1-abc", Some((3, 0))),
            ("os-1-abc+2-1.conf", "os-1-abc", Some((2, 1))),
            ("os-1-abc.conf", "os-1-abc", None),
            ("os-1+git-abc.conf", "os-1+git-abc", None),
        ];
        for (text, name, tries) in cases {
            let parsed = FileName::parse(text).unwrap();
            assert_eq!(
                (parsed.name.as_str(), parsed.tries.map(|tries| (tries.left, tries.done))),
                (name, tries)
            );
            assert_eq!(parsed.to_string(), text);
        }
        assert!(FileName::parse("os.efi.staged").is_none());
        let digest = VerityDigest::of(b"");
        assert!(entry_name("o s", "1+2", &digest).starts_with("o_s-1_2-"));
    }
}
