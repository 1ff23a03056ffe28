//! The kernel's command line → what it says to this program. Words are separated by blanks; a part in double quotes may
//! hold blanks (`Documentation/admin-guide/kernel-parameters.rst`). Words of others are none of ours.

use std::time::Duration;

use crate::error::InitError;

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<(String, Option<String>)>,
}

/// What to do when the system cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Restart, so that the boot loader counts this try and falls back in the end.
    Reboot,
    /// Switch the machine off.
    PowerOff,
    /// Stay, with the reason on the console.
    Hold,
}

/// The image that the system runs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its fs-verity digest (SHA-512), 128 small hexadecimal digits.
    pub digest: String,
    /// Whether the kernel must have checked it: without `?` before the digest.
    pub verified: bool,
}

impl Image {
    /// The digest's first digits, for messages.
    #[must_use]
    pub fn short(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }
}

/// Where the root file system is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootName {
    /// `root=PARTUUID=…`, in small letters.
    PartitionUuid(String),
    /// `root=PARTLABEL=…`.
    PartitionLabel(String),
    /// `root=UUID=…`, in small letters.
    Uuid(String),
    /// `root=LABEL=…`.
    Label(String),
    /// `root=/dev/…`.
    Device(String),
}

/// How long to wait for the root's device.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a failure stays on the console.
const READING_TIME: Duration = Duration::from_secs(10);

impl CommandLine {
    /// Takes a command line apart; anything is one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let mut words = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        for letter in text.chars().chain([' ']) {
            match letter {
                '"' => quoted = !quoted,
                // One quote too many: the line ends the last word all the same.
                ' ' | '\n' | '\t' | '\0' if !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                letter => word.push(letter),
            }
        }
        words.extend((!word.is_empty()).then(|| word.trim_end().to_owned()));
        let split = |word: String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        Self { words: words.into_iter().map(split).collect() }
    }

    /// The last value of a word, as the kernel itself takes it.
    fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().rev().find(|(word, _)| word == name).and_then(|(_, value)| value.as_deref())
    }

    /// `composefs=`: the image.
    ///
    /// # Errors
    /// When there is none, more than one, or something else than a digest. A second one is refused, since a sealed command
    /// line to which something was added must not boot something else.
    pub fn image(&self) -> Result<Image, InitError> {
        let mut values = self.words.iter().filter(|(word, _)| word == "composefs");
        let value = match (values.next(), values.next()) {
            (Some((_, value)), None) => value.as_deref().unwrap_or_default(),
            (Some(_), Some(_)) => return Err(InitError::TwoImages),
            (None, _) => return Err(InitError::NoDigest),
        };
        let (verified, digest) = value.strip_prefix('?').map_or((true, value), |digest| (false, digest));
        if digest.len() != 128 || !digest.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InitError::BadDigest { value: value.to_owned() });
        }
        Ok(Image { digest: digest.to_ascii_lowercase(), verified })
    }

    /// `root=`: where the root is, when it is not to be looked for.
    ///
    /// # Errors
    /// When it is said in a way that this program does not know.
    pub fn root(&self) -> Result<Option<RootName>, InitError> {
        let Some(value) = self.value("root") else { return Ok(None) };
        let name = match value.split_once('=') {
            Some(("PARTUUID", uuid)) => RootName::PartitionUuid(uuid.to_ascii_lowercase()),
            Some(("PARTLABEL", label)) => RootName::PartitionLabel(label.to_owned()),
            Some(("UUID", uuid)) => RootName::Uuid(uuid.to_ascii_lowercase()),
            Some(("LABEL", label)) => RootName::Label(label.to_owned()),
            None if value.starts_with("/dev/") => RootName::Device(value.to_owned()),
            // What a kernel without an initramfs, and systemd, take for "look for it".
            None if matches!(value, "" | "gpt-auto" | "dissect") => return Ok(None),
            _ => return Err(InitError::BadRoot { value: value.to_owned() }),
        };
        Ok(Some(name))
    }

    /// `rootfstype=`, ext4 without it.
    #[must_use]
    pub fn file_system(&self) -> &str {
        self.value("rootfstype").unwrap_or("ext4")
    }

    /// `rootflags=`: mount options of the root.
    pub fn root_options(&self) -> impl Iterator<Item = &str> {
        self.value("rootflags").unwrap_or_default().split(',').filter(|option| !option.is_empty())
    }

    /// `init=`, systemd without it.
    #[must_use]
    pub fn init(&self) -> &str {
        self.value("init").unwrap_or("/usr/lib/systemd/systemd")
    }

    /// `calypte.etc=transient`: changes in `/etc` are gone with the next boot.
    ///
    /// # Errors
    /// When another way is asked for.
    pub fn transient_etc(&self) -> Result<bool, InitError> {
        match self.value("calypte.etc") {
            None | Some("persistent") => Ok(false),
            Some("transient") => Ok(true),
            Some(value) => Err(InitError::BadEtc { value: value.to_owned() }),
        }
    }

    /// `calypte.init.timeout=`: seconds to wait for the root's device.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.seconds("calypte.init.timeout").unwrap_or(PATIENCE)
    }

    /// `calypte.init.wait=`: seconds that a failure stays on the console.
    #[must_use]
    pub fn reading_time(&self) -> Duration {
        self.seconds("calypte.init.wait").unwrap_or(READING_TIME)
    }

    /// `calypte.init.onfail=`: `reboot`, `poweroff` or `hold`. What it is not is taken for `reboot`: that may help.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        match self.value("calypte.init.onfail") {
            Some("poweroff") => OnFailure::PowerOff,
            Some("hold") => OnFailure::Hold,
            _ => OnFailure::Reboot,
        }
    }

    /// At most an hour: what is longer is a slip.
    fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds: u64 = self.value(name)?.parse().ok()?;
        Some(Duration::from_secs(seconds.min(3600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> String {
        "0123456789abcdef".repeat(8)
    }

    #[test]
    fn values_may_be_quoted_and_the_last_one_counts() {
        let line =
            CommandLine::parse(b"root=LABEL=a root=\"LABEL=two words\" quiet rootflags=noatime,commit=5\n");
        assert_eq!(line.root().unwrap(), Some(RootName::Label("two words".to_owned())));
        assert_eq!(line.root_options().collect::<Vec<_>>(), ["noatime", "commit=5"]);
        assert_eq!(line.init(), "/usr/lib/systemd/systemd");
        assert_eq!(line.file_system(), "ext4");
    }

    #[test]
    fn an_open_quote_ends_with_the_line() {
        let line = CommandLine::parse(b"init=\"/bin/a b\n");
        assert_eq!(line.init(), "/bin/a b");
    }

    #[test]
    fn the_image_is_named_once_and_by_a_digest() {
        let line = |value: &str| CommandLine::parse(value.as_bytes()).image();
        let sealed = line(&format!("composefs={}", digest().to_uppercase())).unwrap();
        assert_eq!(sealed, Image { digest: digest(), verified: true });
        assert!(!line(&format!("composefs=?{}", digest())).unwrap().verified);
        assert!(matches!(line("quiet"), Err(InitError::NoDigest)));
        assert!(matches!(line("composefs"), Err(InitError::BadDigest { .. })));
        assert!(matches!(line("composefs=abc"), Err(InitError::BadDigest { .. })));
        assert!(matches!(line(&format!("composefs={0} composefs={0}", digest())), Err(InitError::TwoImages)));
    }

    #[test]
    fn roots_are_named_in_five_ways() {
        let root = |value: &str| CommandLine::parse(format!("root={value}").as_bytes()).root();
        assert_eq!(root("PARTUUID=AB-CD").unwrap(), Some(RootName::PartitionUuid("ab-cd".to_owned())));
        assert_eq!(root("PARTLABEL=Root").unwrap(), Some(RootName::PartitionLabel("Root".to_owned())));
        assert_eq!(root("UUID=AB").unwrap(), Some(RootName::Uuid("ab".to_owned())));
        assert_eq!(root("/dev/vda2").unwrap(), Some(RootName::Device("/dev/vda2".to_owned())));
        assert_eq!(root("gpt-auto").unwrap(), None);
        assert!(matches!(root("nfs:server"), Err(InitError::BadRoot { .. })));
        assert!(matches!(root("ID=x"), Err(InitError::BadRoot { .. })));
    }

    #[test]
    fn times_are_bounded_and_slips_are_passed_over() {
        let line =
            CommandLine::parse(b"calypte.init.wait=0 calypte.init.timeout=999999 calypte.init.onfail=off");
        assert_eq!(line.reading_time(), Duration::ZERO);
        assert_eq!(line.patience(), Duration::from_secs(3600));
        assert_eq!(line.on_failure(), OnFailure::Reboot);
        assert_eq!(CommandLine::parse(b"calypte.init.wait=soon").reading_time(), READING_TIME);
        assert_eq!(CommandLine::parse(b"calypte.init.onfail=hold").on_failure(), OnFailure::Hold);
    }

    #[test]
    fn etc_is_persistent_unless_said_otherwise() {
        let etc = |line: &str| CommandLine::parse(line.as_bytes()).transient_etc();
        assert!(!etc("").unwrap());
        assert!(etc("calypte.etc=transient").unwrap());
        assert!(matches!(etc("calypte.etc=tmp"), Err(InitError::BadEtc { .. })));
    }
}
