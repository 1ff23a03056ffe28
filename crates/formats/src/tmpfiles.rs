//! `tmpfiles.d(5)`: a file's text comes in, one action a line goes out: what a build can do to a tree, and by its
//! letter what only a booted machine can do.

use crate::systemd_text::{Backslash, Expanded, LINE_LIMIT, expand, first_word, given, lines, unescaped};

/// Longest argument in bytes after its specifiers are resolved, as in systemd (`PATH_MAX`).
const ARGUMENT_LIMIT: usize = 4096;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of the line, from 1.
    pub number: usize,
    /// What is to be done.
    pub action: Action,
    /// Where: an absolute path; for [`Action::Adjust`] and [`Action::AdjustDirectory`] a glob.
    pub path: String,
    /// The mode to set; each kind of file has its own where none is given.
    pub mode: Option<Mode>,
    /// The user to set, root where none is given.
    pub user: Option<Account>,
    /// The group to set, root where none is given.
    pub group: Option<Account>,
    /// When contents are cleaned up; of no meaning in an image.
    pub age: Option<String>,
    /// Whether something of another kind is to be removed first (`=`).
    pub replace_other_kinds: bool,
    /// Whether it may fail without a word (`-`).
    pub may_fail: bool,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `d`, `D`, `v`, `q`, `Q`: makes a directory.
    Directory,
    /// `e`: sets mode and owner of directories that are there.
    AdjustDirectory,
    /// `L`: makes a symbolic link.
    Symlink {
        /// Its target, as it is to be written.
        target: String,
        /// Whether it replaces what is there (`L+`).
        replace: bool,
        /// Whether it is made only when its target is there (`L?`).
        only_with_target: bool,
    },
    /// `f`, `F`: makes a file.
    File {
        /// Its contents.
        content: Vec<u8>,
        /// Whether it replaces what is there (`f+`).
        replace: bool,
    },
    /// `C`: copies a file or a whole directory.
    Copy {
        /// Absolute path of what is copied.
        source: String,
        /// Whether it goes into a directory that is there and has entries (`C+`).
        merge: bool,
    },
    /// `p`: makes a named pipe.
    Fifo {
        /// Whether it replaces what is there (`p+`).
        replace: bool,
    },
    /// `c`: makes a character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Whether it replaces what is there (`c+`).
        replace: bool,
    },
    /// `b`: makes a block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Whether it replaces what is there (`b+`).
        replace: bool,
    },
    /// `z`, `Z`: sets mode and owner of what is there.
    Adjust {
        /// Whether also of all that lies below (`Z`).
        recursive: bool,
    },
    /// Left for the booted machine: cleaning up, removing, writing to what runs, attributes that no image holds, lines
    /// for the boot only (`!`), with credentials (`^`) or base64 (`~`), or with specifiers that only the machine can
    /// resolve; those stand in the path as they are.
    AtBoot(char),
}

/// A mode to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Permission, setuid, setgid and sticky bits (`07777`).
    pub bits: u32,
    /// Whether bits that the file does not have for anyone are left out (`~`).
    pub masked: bool,
    /// Whether it is set only on what the line makes (`:`).
    pub only_when_made: bool,
}

/// A user or group to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub who: Who,
    /// Whether it is set only on what the line makes (`:`).
    pub only_when_made: bool,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

/// A line that is not as `tmpfiles.d(5)` says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct TmpfilesError {
    /// Name of the file, as it was given.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads the lines of a file, in their order.
///
/// # Errors
/// With `file` and line, when a line is malformed.
pub fn parse(file: &str, text: &str) -> Result<Vec<Line>, TmpfilesError> {
    let error = |line, reason| TmpfilesError { file: file.to_owned(), line, reason };
    lines(text)
        .map(|(number, line)| parse_line(number, line).map_err(|reason| error(number, reason)))
        .collect()
}

/// The letter of a line's type, and the signs behind it.
struct Kind {
    letter: char,
    plus: bool,
    question: bool,
    at_boot: bool,
    equals: bool,
    minus: bool,
}

fn parse_line(number: usize, line: &str) -> Result<Line, String> {
    if line.len() > LINE_LIMIT {
        return Err("the line is too long".to_owned());
    }
    let mut rest = line;
    let mut word = || -> Result<Option<String>, String> {
        let Some((word, following)) = first_word(rest, Backslash::Escape)? else { return Ok(None) };
        rest = following;
        Ok(Some(word))
    };
    let kind = parse_kind(&word()?.unwrap_or_default())?;
    let written = word()?.ok_or("the path is missing")?;
    let mode = given(word()?).map(|text| parse_mode(&text)).transpose()?;
    let user = given(word()?).map(|text| parse_account(&text)).transpose()?;
    let group = given(word()?).map(|text| parse_account(&text)).transpose()?;
    let age = given(word()?);
    let argument = Some(rest).filter(|rest| !rest.is_empty() && *rest != "-");

    let (path, action) = match expand(&written)? {
        Expanded::Text(path) => {
            let action =
                if kind.at_boot { Action::AtBoot(kind.letter) } else { action(&kind, &path, argument)? };
            (path, action)
        }
        Expanded::AtBoot => (written, Action::AtBoot(kind.letter)),
    };
    if !path.starts_with('/') {
        return Err(format!("`{}` is not an absolute path", path.escape_default()));
    }
    let (replace_other_kinds, may_fail) = (kind.equals, kind.minus);
    Ok(Line { number, action, path, mode, user, group, age, replace_other_kinds, may_fail })
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let unknown = || format!("unknown type `{}`", text.escape_default());
    let mut signs = text.chars();
    let letter = signs.next().ok_or_else(unknown)?;
    if !"fFwdDevqQpLcbCxXrRzZtThHaAm".contains(letter) {
        return Err(unknown());
    }
    let mut kind = Kind { letter, plus: false, question: false, at_boot: false, equals: false, minus: false };
    for sign in signs {
        let slot = match sign {
            '+' => &mut kind.plus,
            '?' => &mut kind.question,
            '=' => &mut kind.equals,
            '-' => &mut kind.minus,
            // For the boot only; base64; a credential.
            '!' | '~' | '^' => &mut kind.at_boot,
            // For removal only, which an image does not see.
            '$' => continue,
            _ => return Err(unknown()),
        };
        *slot = true;
    }
    Ok(kind)
}

fn action(kind: &Kind, path: &str, argument: Option<&str>) -> Result<Action, String> {
    let replace = kind.plus;
    let text = argument.map(resolve).transpose()?;
    let at_boot = matches!(text, Some(Expanded::AtBoot));
    let text = || match &text {
        Some(Expanded::Text(text)) => Some(text.clone()),
        _ => None,
    };
    // What is not named is taken from the vendor's copies.
    let source = || text().unwrap_or_else(|| format!("/usr/share/factory{path}"));
    Ok(match kind.letter {
        'f' | 'F' | 'L' | 'C' if at_boot => Action::AtBoot(kind.letter),
        'd' | 'D' | 'v' | 'q' | 'Q' => Action::Directory,
        'e' => Action::AdjustDirectory,
        'f' | 'F' => Action::File {
            content: text().unwrap_or_default().into_bytes(),
            replace: replace || kind.letter == 'F',
        },
        'L' => Action::Symlink { target: source(), replace, only_with_target: kind.question },
        'C' => {
            let source = source();
            if !source.starts_with('/') {
                return Err(format!("`{}` is not an absolute path", source.escape_default()));
            }
            Action::Copy { source, merge: replace }
        }
        'p' => Action::Fifo { replace },
        'c' | 'b' => {
            let (major, minor) = device(argument.unwrap_or_default())?;
            match kind.letter {
                'c' => Action::CharDevice { major, minor, replace },
                _ => Action::BlockDevice { major, minor, replace },
            }
        }
        'z' | 'm' => Action::Adjust { recursive: false },
        'Z' => Action::Adjust { recursive: true },
        other => Action::AtBoot(other),
    })
}

/// An argument with its escapes and specifiers resolved.
fn resolve(argument: &str) -> Result<Expanded, String> {
    let bytes = unescaped(argument)?;
    let text = String::from_utf8(bytes).map_err(|_| "the argument is not UTF-8".to_owned())?;
    let expanded = expand(&text)?;
    match &expanded {
        Expanded::Text(text) if text.len() >= ARGUMENT_LIMIT => Err("the argument is too long".to_owned()),
        _ => Ok(expanded),
    }
}

fn device(argument: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let numbers = argument.split_once(':').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    numbers.ok_or_else(|| format!("`{}` is not a device number", argument.escape_default()))
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    let digits = text.trim_start_matches(['~', ':']);
    let signs = &text[..text.len() - digits.len()];
    let bits = u32::from_str_radix(digits, 8)
        .ok()
        .filter(|bits| *bits <= 0o7777 && digits.starts_with(|first: char| first.is_ascii_digit()));
    let bits = bits.ok_or_else(|| format!("`{}` is not a mode", text.escape_default()))?;
    Ok(Mode { bits, masked: signs.contains('~'), only_when_made: signs.contains(':') })
}

fn parse_account(text: &str) -> Result<Account, String> {
    let name = text.strip_prefix(':').unwrap_or(text);
    let bad = || format!("`{}` is not a user or group", text.escape_default());
    let name = match expand(name)? {
        Expanded::Text(name) => name,
        Expanded::AtBoot => return Err(bad()),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.starts_with('-') || !name.bytes().all(plain) {
        return Err(bad());
    }
    let number = name.bytes().all(|byte| byte.is_ascii_digit());
    let who = if number { Who::Id(name.parse().map_err(|_| bad())?) } else { Who::Name(name) };
    Ok(Account { who, only_when_made: text.starts_with(':') })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        parse("a.conf", text).unwrap().remove(0)
    }

    fn name(name: &str) -> Option<Account> {
        Some(Account { who: Who::Name(name.to_owned()), only_when_made: false })
    }

    #[test]
    fn directories_with_all_their_fields() {
        let mode = Mode { bits: 0o2775, masked: false, only_when_made: false };
        let expected = Line {
            number: 1,
            action: Action::Directory,
            path: "/run/postgresql".to_owned(),
            mode: Some(mode),
            user: name("postgres"),
            group: name("postgres"),
            age: None,
            replace_other_kinds: false,
            may_fail: false,
        };
        assert_eq!(line("d /run/postgresql 2775 postgres postgres - -"), expected);
        let soft = line("d=- %t/x :~0700 :0 - 10d");
        assert_eq!(soft.mode, Some(Mode { bits: 0o700, masked: true, only_when_made: true }));
        assert_eq!(soft.user, Some(Account { who: Who::Id(0), only_when_made: true }));
        assert_eq!((soft.path.as_str(), soft.group, soft.age.as_deref()), ("/run/x", None, Some("10d")));
        assert!(soft.replace_other_kinds && soft.may_fail);
        assert_eq!(line("D /tmp 1777").action, Action::Directory);
        assert_eq!(line("q /var 0755 - - -").action, Action::Directory);
    }

    #[test]
    fn actions_that_a_build_can_do() {
        let link = |target: &str, replace| Action::Symlink {
            target: target.to_owned(),
            replace,
            only_with_target: false,
        };
        let file = |content: &[u8], replace| Action::File { content: content.to_vec(), replace };
        let copy = |source: &str, merge| Action::Copy { source: source.to_owned(), merge };
        let cases = [
            ("L /var/lock - - - - ../run/lock", link("../run/lock", false)),
            ("L+ /etc/mtab - - - - ../proc/self/mounts", link("../proc/self/mounts", true)),
            ("L /etc/pam.d", link("/usr/share/factory/etc/pam.d", false)),
            ("f /a 0644 - - - two words \\x41\\n100%%", file(b"two words A\n100%", false)),
            ("f+ /a - - - - \"quoted\"", file(b"\"quoted\"", true)),
            ("F /a", file(b"", true)),
            ("C /etc/x - - - - %S/x", copy("/var/lib/x", false)),
            ("C+ /etc/x", copy("/usr/share/factory/etc/x", true)),
            ("p /run/pipe", Action::Fifo { replace: false }),
            ("c+ /dev/null - - - - 1:3", Action::CharDevice { major: 1, minor: 3, replace: true }),
            ("b /dev/x - - - - 8:16", Action::BlockDevice { major: 8, minor: 16, replace: false }),
            ("e /var/tmp/*", Action::AdjustDirectory),
            ("z /a", Action::Adjust { recursive: false }),
            ("Z /a", Action::Adjust { recursive: true }),
        ];
        for (text, action) in cases {
            assert_eq!(line(text).action, action, "{text}");
        }
    }

    #[test]
    fn what_only_a_machine_can_do_is_left_for_the_boot() {
        let cases = [
            ("D! /tmp/.X11-unix 1777 root root 10d", 'D'),
            ("f^ /etc/hosts - - - - network.hosts", 'f'),
            ("f~ /a - - - - YQ==", 'f'),
            ("f /a - - - - %H", 'f'),
            ("d /var/log/journal/%m", 'd'),
            ("x /tmp/a", 'x'),
            ("R! /tmp/a*", 'R'),
            ("w /sys/x - - - - 1", 'w'),
            ("a+ /var/log/journal - - - - d:group:adm:r-x", 'a'),
            ("h /var/log/journal - - - - +C", 'h'),
            ("t /a - - - - user.x=%%", 't'),
        ];
        for (text, letter) in cases {
            assert_eq!(line(text).action, Action::AtBoot(letter), "{text}");
        }
    }

    #[test]
    fn malformed_lines_are_named() {
        let cases = [
            ("y /a", "a.conf:1: unknown type `y`"),
            ("d& /a", "a.conf:1: unknown type `d&`"),
            ("#\nd", "a.conf:2: the path is missing"),
            ("d a", "a.conf:1: `a` is not an absolute path"),
            ("d /a 8", "a.conf:1: `8` is not a mode"),
            ("d /a +7", "a.conf:1: `+7` is not a mode"),
            ("d /a 10000", "a.conf:1: `10000` is not a mode"),
            ("d /a - a:b", "a.conf:1: `a:b` is not a user or group"),
            ("d /a - 4294967296", "a.conf:1: `4294967296` is not a user or group"),
            ("d /a%Z", "a.conf:1: unknown specifier `%Z`"),
            ("d \"/a", "a.conf:1: a quotation mark is not closed"),
            ("c /a - - - - 1", "a.conf:1: `1` is not a device number"),
            ("C /a - - - - b", "a.conf:1: `b` is not an absolute path"),
            ("f /a - - - - \\xff", "a.conf:1: the argument is not UTF-8"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse("a.conf", text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
