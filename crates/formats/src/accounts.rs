//! `/etc/passwd`, `/etc/group`, `/etc/shadow` and `/etc/gshadow`: lines in, values out, and back. passwd(5), group(5),
//! shadow(5), gshadow(5).

use std::fmt;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswdLine {
    /// Name of the user.
    pub name: String,
    /// `x` when the password is in `/etc/shadow`.
    pub password: String,
    /// Id of the user.
    pub uid: u32,
    /// Id of the user's primary group.
    pub gid: u32,
    /// Description.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Shell.
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLine {
    /// Name of the group.
    pub name: String,
    /// `x` when the password is in `/etc/gshadow`.
    pub password: String,
    /// Id of the group.
    pub gid: u32,
    /// Names of its members, beside those whose primary group it is.
    pub members: Vec<String>,
}

/// A line of `/etc/shadow`. Times are in days, the first and the last counted from 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowLine {
    /// Name of the user.
    pub name: String,
    /// Hash of the password; `*` or `!` when there is none to log in with.
    pub password: String,
    /// Day of the last change.
    pub changed: Option<u64>,
    /// Days until it may be changed again.
    pub minimum: Option<u64>,
    /// Days until it must be changed.
    pub maximum: Option<u64>,
    /// Days before that in which the user is warned.
    pub warning: Option<u64>,
    /// Days after it in which it is still taken.
    pub inactive: Option<u64>,
    /// Day on which the account ends.
    pub expires: Option<u64>,
}

/// A line of `/etc/gshadow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GshadowLine {
    /// Name of the group.
    pub name: String,
    /// Hash of the password; `*` or `!` when there is none.
    pub password: String,
    /// Names of those who may change it.
    pub administrators: Vec<String>,
    /// Names of its members.
    pub members: Vec<String>,
}

/// A line that is not as its file's manual page says, or a value that cannot be written as a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A line that cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A field that would break the line that it stands in.
    #[error("`{0}` cannot stand in an account database: it holds a colon, a comma or a control character")]
    Field(String),
}

/// A line of one of the four files.
pub trait AccountLine: Sized {
    /// Number of fields.
    const FIELDS: usize;

    /// The line from its fields, of which there are [`AccountLine::FIELDS`].
    ///
    /// # Errors
    /// What is wrong with them.
    fn from_fields(fields: &[&str]) -> Result<Self, String>;

    /// The fields of the line.
    fn fields(&self) -> Vec<String>;

    /// The names that stand in lists.
    fn listed(&self) -> impl Iterator<Item = &String> {
        [].iter()
    }
}

/// Reads a whole file.
///
/// # Errors
/// When a line has not the fields that it must have. Lines of NIS (`+`, `-`) are no accounts and are refused as well.
pub fn parse<L: AccountLine>(text: &str) -> Result<Vec<L>, AccountsError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            parse_line(line).map_err(|reason| AccountsError::Line { line: index + 1, reason })
        })
        .collect()
}

fn parse_line<L: AccountLine>(line: &str) -> Result<L, String> {
    let fields: Vec<&str> = line.split(':').take(L::FIELDS + 1).collect();
    if fields.len() != L::FIELDS {
        return Err(format!("it does not have {} fields", L::FIELDS));
    }
    let name = fields[0];
    if name.is_empty() || name.starts_with(['+', '-']) || name.contains(char::is_whitespace) {
        return Err(format!("`{}` is not a name", name.escape_default()));
    }
    L::from_fields(&fields)
}

/// Writes a whole file.
///
/// # Errors
/// When a field holds what would make it two fields or two lines.
pub fn render<L: AccountLine>(lines: &[L]) -> Result<String, AccountsError> {
    let mut text = String::new();
    for line in lines {
        let fields = line.fields();
        // Names in a list end at commas.
        if let Some(name) = line.listed().find(|name| name.is_empty() || name.contains(',')) {
            return Err(AccountsError::Field(name.escape_default().to_string()));
        }
        let breaks =
            |field: &&String| field.contains(|character: char| character == ':' || character.is_control());
        if let Some(field) = fields.iter().find(breaks) {
            return Err(AccountsError::Field(field.escape_default().to_string()));
        }
        text.push_str(&fields.join(":"));
        text.push('\n');
    }
    Ok(text)
}

impl AccountLine for PasswdLine {
    const FIELDS: usize = 7;

    fn from_fields(fields: &[&str]) -> Result<Self, String> {
        match *fields {
            [name, password, uid, gid, gecos, home, shell] => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
                uid: number(uid)?,
                gid: number(gid)?,
                gecos: gecos.to_owned(),
                home: home.to_owned(),
                shell: shell.to_owned(),
            }),
            _ => Err(String::new()),
        }
    }

    fn fields(&self) -> Vec<String> {
        let text = [&self.name, &self.password, &self.gecos, &self.home, &self.shell].map(Clone::clone);
        let [name, password, gecos, home, shell] = text;
        vec![name, password, self.uid.to_string(), self.gid.to_string(), gecos, home, shell]
    }
}

impl AccountLine for GroupLine {
    const FIELDS: usize = 4;

    fn from_fields(fields: &[&str]) -> Result<Self, String> {
        match *fields {
            [name, password, gid, members] => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
                gid: number(gid)?,
                members: names(members),
            }),
            _ => Err(String::new()),
        }
    }

    fn fields(&self) -> Vec<String> {
        vec![self.name.clone(), self.password.clone(), self.gid.to_string(), self.members.join(",")]
    }

    fn listed(&self) -> impl Iterator<Item = &String> {
        self.members.iter()
    }
}

impl AccountLine for ShadowLine {
    const FIELDS: usize = 9;

    fn from_fields(fields: &[&str]) -> Result<Self, String> {
        let days = |text: &str| if text.is_empty() { Ok(None) } else { number(text).map(Some) };
        match *fields {
            [name, password, changed, minimum, maximum, warning, inactive, expires, _reserved] => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
                changed: days(changed)?,
                minimum: days(minimum)?,
                maximum: days(maximum)?,
                warning: days(warning)?,
                inactive: days(inactive)?,
                expires: days(expires)?,
            }),
            _ => Err(String::new()),
        }
    }

    fn fields(&self) -> Vec<String> {
        let days = [self.changed, self.minimum, self.maximum, self.warning, self.inactive, self.expires];
        let days = days.map(|days| days.map(|days| days.to_string()).unwrap_or_default());
        [self.name.clone(), self.password.clone()].into_iter().chain(days).chain([String::new()]).collect()
    }
}

impl AccountLine for GshadowLine {
    const FIELDS: usize = 4;

    fn from_fields(fields: &[&str]) -> Result<Self, String> {
        match *fields {
            [name, password, administrators, members] => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
                administrators: names(administrators),
                members: names(members),
            }),
            _ => Err(String::new()),
        }
    }

    fn fields(&self) -> Vec<String> {
        vec![self.name.clone(), self.password.clone(), self.administrators.join(","), self.members.join(",")]
    }

    fn listed(&self) -> impl Iterator<Item = &String> {
        self.administrators.iter().chain(&self.members)
    }
}

macro_rules! display_as_line {
    ($($line:ty),*) => {
        $(impl fmt::Display for $line {
            /// The line without its newline, whatever its fields hold; [`render`] checks them.
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.fields().join(":"))
            }
        })*
    };
}

display_as_line!(PasswdLine, GroupLine, ShadowLine, GshadowLine);

fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| format!("`{}` is not a number", text.escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<L: AccountLine>(text: &str) {
        assert_eq!(render(&parse::<L>(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn lines_survive_a_round_trip() {
        round_trip::<PasswdLine>(
            "root:x:0:0:root:/root:/bin/bash\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n",
        );
        round_trip::<GroupLine>("root:x:0:\naudio:x:29:pulse,me\n");
        round_trip::<ShadowLine>("root:*:20000:0:99999:7:::\nme:!:::::::\nyou:!:1:2:3:4:5:6:\n");
        round_trip::<GshadowLine>("root:*::\naudio:!:me:pulse,me\n");
    }

    #[test]
    fn malformed_lines_are_named() {
        let error = |text: &str| parse::<PasswdLine>(text).unwrap_err().to_string();
        assert_eq!(error("a:x:0:0::/\n"), "line 1: it does not have 7 fields");
        assert_eq!(error("\na:x:0:0::/:/bin/sh:more\n"), "line 2: it does not have 7 fields");
        assert_eq!(error("a:x:-1:0::/:/bin/sh\n"), "line 1: `-1` is not a number");
        assert_eq!(error("a:x:4294967296:0::/:/bin/sh\n"), "line 1: `4294967296` is not a number");
        assert_eq!(error("+::::::\n"), "line 1: `+` is not a name");
        assert_eq!(error(":x:0:0::/:/bin/sh\n"), "line 1: `` is not a name");
        assert!(parse::<GroupLine>("a:x:1\n").is_err());
        assert!(parse::<ShadowLine>("a:*:x::::::\n").is_err());
    }

    #[test]
    fn fields_that_would_break_a_line_are_not_written() {
        let group = |name: &str, member: &str| GroupLine {
            name: name.to_owned(),
            password: "x".to_owned(),
            gid: 1,
            members: vec![member.to_owned()],
        };
        for (name, member) in [("a:b", "c"), ("a\nroot", "c"), ("a", "c\n"), ("a", "b,c")] {
            assert!(render(&[group(name, member)]).is_err(), "{name} {member}");
        }
        assert_eq!(render(&[group("a", "c")]).unwrap(), "a:x:1:c\n");
    }
}
