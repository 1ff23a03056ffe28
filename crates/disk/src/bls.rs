//! Boot loader entries (UAPI.1, Boot Loader specification): their texts, their file names with boot counters, their order,
//! and `loader.conf`.
//!
//! A text is kept line by line: what we do not know (comments, keys of others) stays where it was when a value is changed.

use std::cmp::Ordering;
use std::fmt;

use crate::version;

/// A file name of an entry or of a unified kernel image, taken apart: `name+LEFT-DONE.conf` counts boots (systemd's
/// Automatic Boot Assessment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// The name without counter and extension.
    pub name: String,
    /// The counter, where there is one.
    pub counter: Option<Counter>,
    /// `conf` or `efi`.
    pub extension: String,
}

/// How often an entry may still be tried, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// Tries left.
    pub left: u32,
    /// Tries done.
    pub done: u32,
}

/// Why a text or name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlsError {
    /// Not the name of an entry.
    #[error("`{0}` is no name of a boot entry (name.conf, name+3.efi, name+2-1.efi)")]
    Name(String),
    /// A key or value that would be read as something else.
    #[error("boot entry: `{key}` cannot have the value `{value}`")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// What an entry must have.
    #[error("boot entry: there is no `{0}`")]
    Missing(&'static str),
}

impl EntryName {
    /// Takes a file name apart (no directory before it).
    ///
    /// # Errors
    /// When it is not the name of an entry.
    pub fn parse(file: &str) -> Result<Self, BlsError> {
        let bad = || BlsError::Name(file.chars().take(300).collect());
        let (stem, extension) = file.rsplit_once('.').ok_or_else(bad)?;
        if !matches!(extension, "conf" | "efi") || file.contains(['/', '\0']) {
            return Err(bad());
        }
        let counted = stem.rsplit_once('+').and_then(|(name, text)| Some((name, counter(text)?)));
        let (name, counter) = match counted {
            Some((name, counter)) => (name, Some(counter)),
            None => (stem, None),
        };
        if name.is_empty() {
            return Err(bad());
        }
        Ok(Self { name: name.to_owned(), counter, extension: extension.to_owned() })
    }

    /// Whether its tries ran out.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.counter.is_some_and(|counter| counter.left == 0)
    }

    /// The name after the entry was found good: without a counter.
    #[must_use]
    pub fn good(&self) -> Self {
        Self { counter: None, ..self.clone() }
    }

    /// The identifier by which systemd-boot and `loader.conf` call it: without the counter.
    #[must_use]
    pub fn id(&self) -> String {
        self.good().to_string()
    }
}

fn counter(text: &str) -> Option<Counter> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    match text.split_once('-') {
        Some((left, done)) => Some(Counter { left: number(left)?, done: number(done)? }),
        None => Some(Counter { left: number(text)?, done: 0 }),
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        match self.counter {
            None => {}
            Some(Counter { left, done: 0 }) => write!(formatter, "+{left}")?,
            Some(Counter { left, done }) => write!(formatter, "+{left}-{done}")?,
        }
        write!(formatter, ".{}", self.extension)
    }
}

/// A text file of keys and values: an entry (`loader/entries/*.conf`) or `loader.conf`. Displays as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Other(String),
    Field { key: String, value: String },
}

impl Fields {
    /// Reads a text. Every text is one: a line that is no key with a value is kept.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let trimmed = line.trim();
            match trimmed.split_once([' ', '\t']) {
                Some((key, value)) if !key.starts_with('#') => {
                    Line::Field { key: key.to_owned(), value: value.trim().to_owned() }
                }
                _ => Line::Other(line.trim_end_matches('\r').to_owned()),
            }
        };
        Self { lines: text.lines().map(line).collect() }
    }

    /// The last value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().rev().find_map(|line| match line {
            Line::Field { key: found, value } if found == key => Some(value.as_str()),
            _ => None,
        })
    }

    /// Every value of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.lines.iter().filter_map(move |line| match line {
            Line::Field { key: found, value } if found == key => Some(value.as_str()),
            _ => None,
        })
    }

    /// Adds a line at the end.
    ///
    /// # Errors
    /// When key or value would not be read back as they are.
    pub fn push(&mut self, key: &str, value: &str) -> Result<(), BlsError> {
        let line = Line::Field { key: key.to_owned(), value: value.to_owned() };
        if Self::parse(&format!("{key} {value}\n")).lines != [line.clone()] {
            return Err(BlsError::Value { key: key.to_owned(), value: value.to_owned() });
        }
        self.lines.push(line);
        Ok(())
    }

    /// Gives a key this one value, where its first line was.
    ///
    /// # Errors
    /// As [`Fields::push`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BlsError> {
        let mut changed = Self::default();
        changed.push(key, value)?;
        let place = self.lines.iter().position(|line| line.is(key)).unwrap_or(self.lines.len());
        self.remove(key);
        self.lines.splice(place..place, changed.lines);
        Ok(())
    }

    /// Takes every line of a key away.
    pub fn remove(&mut self, key: &str) {
        self.lines.retain(|line| !line.is(key));
    }
}

impl Line {
    fn is(&self, key: &str) -> bool {
        matches!(self, Self::Field { key: found, .. } if found == key)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| match line {
            Line::Other(text) => writeln!(formatter, "{text}"),
            Line::Field { key, value } => writeln!(formatter, "{key} {value}"),
        })
    }
}

/// An entry of type 1: a kernel and its initramfs on the ESP. Paths begin with a slash and count from the ESP's root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// What the menu shows.
    pub title: String,
    /// The version, by which entries of one `sort_key` are sorted: newest first.
    pub version: String,
    /// What sorts entries before anything else, such as the image's id.
    pub sort_key: Option<String>,
    /// The machine that it is for.
    pub machine_id: Option<String>,
    /// The kernel.
    pub linux: String,
    /// The initramfs images, in the order in which they are loaded.
    pub initrd: Vec<String>,
    /// The kernel's command line.
    pub options: String,
}

impl Entry {
    /// The entry as a text.
    ///
    /// # Errors
    /// When a value would not be read back as it is.
    pub fn fields(&self) -> Result<Fields, BlsError> {
        let mut fields = Fields::default();
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let ones = [
            ("title", self.title.clone()),
            ("version", self.version.clone()),
            ("sort-key", optional(&self.sort_key)),
            ("machine-id", optional(&self.machine_id)),
            ("linux", self.linux.clone()),
        ];
        let initrd = self.initrd.iter().map(|path| ("initrd", path.clone()));
        let options = [("options", self.options.clone())];
        for (key, value) in ones.into_iter().chain(initrd).chain(options) {
            if !value.is_empty() {
                fields.push(key, &value)?;
            }
        }
        Ok(fields)
    }

    /// Reads an entry. Several lines of options are one command line.
    ///
    /// # Errors
    /// When there is no kernel in it.
    pub fn parse(text: &str) -> Result<Self, BlsError> {
        let fields = Fields::parse(text);
        let one = |key| fields.get(key).map(str::to_owned);
        Ok(Self {
            title: one("title").unwrap_or_default(),
            version: one("version").unwrap_or_default(),
            sort_key: one("sort-key"),
            machine_id: one("machine-id"),
            linux: one("linux").ok_or(BlsError::Missing("linux"))?,
            initrd: fields.all("initrd").map(str::to_owned).collect(),
            options: fields.all("options").collect::<Vec<_>>().join(" "),
        })
    }
}

/// What entries are sorted by. Of a unified kernel image, `sort_key` is `IMAGE_ID` or `ID` of its `os-release`, and the
/// version `IMAGE_VERSION`, `VERSION_ID` or `BUILD_ID`.
#[derive(Debug, Clone, Copy)]
pub struct Sorted<'a> {
    /// Its file name.
    pub name: &'a EntryName,
    /// Its sort key.
    pub sort_key: Option<&'a str>,
    /// The machine that it is for.
    pub machine_id: Option<&'a str>,
    /// Its version.
    pub version: Option<&'a str>,
}

/// The order in which systemd-boot shows entries and tries them: what comes first is started first.
#[must_use]
pub fn order(left: &Sorted<'_>, right: &Sorted<'_>) -> Ordering {
    let text = |value: Option<&'_ str>| value.unwrap_or_default().to_owned();
    let newest_first = |left: Option<&str>, right: Option<&str>| version::compare(&text(right), &text(left));
    let by_key = || match (left.sort_key, right.sort_key) {
        (Some(ours), Some(theirs)) => ours
            .cmp(theirs)
            .then_with(|| text(left.machine_id).cmp(&text(right.machine_id)))
            .then_with(|| newest_first(left.version, right.version)),
        (ours, theirs) => theirs.is_some().cmp(&ours.is_some()),
    };
    left.name
        .is_bad()
        .cmp(&right.name.is_bad())
        .then_with(by_key)
        .then_with(|| version::compare(&right.name.name, &left.name.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(file: &str) -> EntryName {
        EntryName::parse(file).unwrap()
    }

    #[test]
    fn names_with_and_without_a_counter() {
        for (file, base, counter) in [
            ("os.conf", "os", None),
            ("os+3.efi", "os", Some((3, 0))),
            ("os-1.2+0-3.efi", "os-1.2", Some((0, 3))),
            ("a+b+2-1.conf", "a+b", Some((2, 1))),
            ("a+b.conf", "a+b", None),
            ("a+.conf", "a+", None),
            ("a+1-.conf", "a+1-", None),
            ("a+-1.conf", "a+-1", None),
            ("a+99999999999.conf", "a+99999999999", None),
        ] {
            let parsed = name(file);
            assert_eq!(parsed.name, base, "{file}");
            assert_eq!(parsed.counter.map(|counter| (counter.left, counter.done)), counter, "{file}");
            assert_eq!(parsed.to_string(), file);
        }
        assert!(name("os+0-3.efi").is_bad() && !name("os+1-2.efi").is_bad() && !name("os.efi").is_bad());
        assert_eq!(name("os+1-2.efi").id(), "os.efi");
        for bad in ["", "os", ".conf", "+3.conf", "a/b.conf", "os.txt"] {
            assert!(EntryName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_changed_text_keeps_what_it_had() {
        let text = "# by hand\ntimeout 3\n\ndefault\t @saved \nstrange\ntimeout 4\n";
        let mut fields = Fields::parse(text);
        assert_eq!((fields.get("timeout"), fields.get("default")), (Some("4"), Some("@saved")));
        fields.set("timeout", "5").unwrap();
        fields.set("preferred", "os-1.efi").unwrap();
        let expected = "# by hand\ntimeout 5\n\ndefault @saved\nstrange\npreferred os-1.efi\n";
        assert_eq!(fields.to_string(), expected);
        for (key, value) in [("a", "b\nc d"), ("a b", "c"), ("#a", "b"), ("a", ""), ("a", " b")] {
            assert!(fields.set(key, value).is_err(), "{key}={value}");
        }
        assert_eq!(fields.to_string(), expected);
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let entry = Entry {
            title: "Calypte 2026.11".to_owned(),
            version: "2026.11".to_owned(),
            sort_key: Some("calypte".to_owned()),
            machine_id: None,
            linux: "/EFI/calypte/0123/vmlinuz".to_owned(),
            initrd: vec!["/EFI/calypte/0123/initrd".to_owned()],
            options: "composefs=0123 rw".to_owned(),
        };
        let text = entry.fields().unwrap().to_string();
        assert_eq!(
            text,
            "title Calypte 2026.11\nversion 2026.11\nsort-key calypte\nlinux /EFI/calypte/0123/vmlinuz\n\
             initrd /EFI/calypte/0123/initrd\noptions composefs=0123 rw\n"
        );
        assert_eq!(Entry::parse(&text).unwrap(), entry);
        assert_eq!(Entry::parse("title x\n"), Err(BlsError::Missing("linux")));
    }

    #[test]
    fn what_failed_comes_last_and_the_newest_first() {
        let files = ["os-2.efi", "os-10+3.efi", "os-11+0-3.efi", "os-9~rc1.efi"].map(name);
        let mut sorted: Vec<Sorted<'_>> = files
            .iter()
            .map(|name| Sorted { name, sort_key: None, machine_id: None, version: None })
            .collect();
        let keyed = name("aaa-1.conf");
        sorted.push(Sorted { name: &keyed, sort_key: Some("k"), machine_id: None, version: Some("1") });
        sorted.sort_by(order);
        let order: Vec<String> = sorted.iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(order, ["aaa-1.conf", "os-10+3.efi", "os-9~rc1.efi", "os-2.efi", "os-11+0-3.efi"]);
    }
}
