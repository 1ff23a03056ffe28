//! `sysusers.d(5)`: a file's text comes in, the users, groups and memberships that it declares go out.

use crate::systemd_text::{Backslash, Expanded, LINE_LIMIT, expand, first_word, given, lines};

/// One declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `u`: a user, with a group of the same name unless another is given.
    User(User),
    /// `g`: a group.
    Group {
        /// Its name.
        name: String,
        /// Its id.
        gid: Id,
    },
    /// `m`: a user belongs to a group; both are made if they are not there.
    Member {
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
    },
    /// `r`: a range to take automatic ids from, both ends in it.
    Range {
        /// Lowest id.
        first: u32,
        /// Highest id.
        last: u32,
    },
}

/// A user as a `u` line declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its id.
    pub uid: Id,
    /// Its primary group, when that is not the one with its own name.
    pub group: Option<GroupReference>,
    /// Its description.
    pub gecos: Option<String>,
    /// Its home directory: an absolute path. `/` when none is given.
    pub home: Option<String>,
    /// Its shell: an absolute path. `/usr/sbin/nologin` when none is given, for all but root.
    pub shell: Option<String>,
    /// Whether the account is locked in full (`u!`), not only without a password.
    pub locked: bool,
}

/// How a numeric id is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// Any that is free.
    Automatic,
    /// This one.
    Fixed(u32),
    /// That of the owner of the file with this absolute path.
    OwnerOf(String),
}

/// A group that another line declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupReference {
    /// By its id.
    Id(u32),
    /// By its name.
    Name(String),
}

/// A line that is not as `sysusers.d(5)` says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct SysusersError {
    /// Name of the file, as it was given.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads the declarations of a file, in their order.
///
/// # Errors
/// With `file` and line, when a line is malformed or holds a specifier that only a booted machine can resolve.
pub fn parse(file: &str, text: &str) -> Result<Vec<Line>, SysusersError> {
    let error = |line, reason| SysusersError { file: file.to_owned(), line, reason };
    lines(text).map(|(number, line)| parse_line(line).map_err(|reason| error(number, reason))).collect()
}

fn parse_line(line: &str) -> Result<Line, String> {
    if line.len() > LINE_LIMIT {
        return Err("the line is too long".to_owned());
    }
    let [kind, name, id, gecos, home, shell] = fields(line)?;
    let kind = kind.unwrap_or_default();
    let none = |fields: &[&Option<String>]| match fields.iter().any(|field| field.is_some()) {
        true => Err(format!("a line of type `{kind}` takes no such field")),
        false => Ok(()),
    };
    match kind.as_str() {
        "u" | "u!" => {
            let (uid, group) = user_id(id)?;
            Ok(Line::User(User {
                name: account_name(name)?,
                uid,
                group,
                gecos: gecos.map(check_gecos).transpose()?,
                home: home.map(check_path).transpose()?,
                shell: shell.map(check_path).transpose()?,
                locked: kind == "u!",
            }))
        }
        "g" => {
            none(&[&gecos, &home, &shell])?;
            Ok(Line::Group { name: account_name(name)?, gid: single_id(id)? })
        }
        "m" => {
            none(&[&gecos, &home, &shell])?;
            Ok(Line::Member { user: account_name(name)?, group: account_name(id)? })
        }
        "r" => {
            none(&[&name, &gecos, &home, &shell])?;
            let range = id.ok_or("a range needs an id or two")?;
            let (first, last) = range.split_once('-').unwrap_or((&range, &range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("`{range}` is not a range"));
            }
            Ok(Line::Range { first, last })
        }
        other => Err(format!("unknown type `{}` (known: u, u!, g, m, r)", other.escape_default())),
    }
}

/// The six fields with their specifiers resolved; those that are left out or `-` are none.
fn fields(line: &str) -> Result<[Option<String>; 6], String> {
    let mut fields = [const { None }; 6];
    let mut rest = line;
    for field in &mut fields {
        let Some((word, following)) = first_word(rest, Backslash::Literal)? else { break };
        rest = following;
        *field = match given(Some(word)) {
            None => None,
            Some(word) => match expand(&word)? {
                Expanded::Text(text) => Some(text),
                Expanded::AtBoot => return Err(format!("`{word}` has a value only on a booted machine")),
            },
        };
    }
    if rest.is_empty() { Ok(fields) } else { Err("the line has more than six fields".to_owned()) }
}

/// The id field of a user: `-`, `uid`, a path, or one of `-` and `uid` with `:` and a group.
fn user_id(field: Option<String>) -> Result<(Id, Option<GroupReference>), String> {
    let Some((uid, group)) = field.as_deref().and_then(|field| field.split_once(':')) else {
        return Ok((single_id(field)?, None));
    };
    if uid.starts_with('/') {
        return Ok((single_id(field)?, None));
    }
    let uid = if uid == "-" { Id::Automatic } else { Id::Fixed(number(uid)?) };
    let by_id = group.starts_with(|first: char| first.is_ascii_digit());
    let group = if by_id {
        GroupReference::Id(number(group)?)
    } else {
        GroupReference::Name(account_name(Some(group.to_owned()))?)
    };
    Ok((uid, Some(group)))
}

fn single_id(field: Option<String>) -> Result<Id, String> {
    Ok(match field {
        None => Id::Automatic,
        Some(path) if path.starts_with('/') => Id::OwnerOf(check_path(path)?),
        Some(id) => Id::Fixed(number(&id)?),
    })
}

fn number(text: &str) -> Result<u32, String> {
    let bad = || format!("`{}` is not an id", text.escape_default());
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    match text.parse() {
        // Both stand for "no id" in one or another interface of the kernel.
        Ok(u32::MAX | 0xffff) => Err(format!("the id {text} has a special meaning and cannot be used")),
        Ok(id) => Ok(id),
        Err(_) => Err(bad()),
    }
}

/// The names that systemd takes in its configuration files, and dots, which some packages have in them.
fn account_name(field: Option<String>) -> Result<String, String> {
    let name = field.ok_or("a name is missing")?;
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if first && rest && name.len() <= 31 {
        Ok(name)
    } else {
        Err(format!("`{}` is not a name for a user or group", name.escape_default()))
    }
}

fn check_gecos(text: String) -> Result<String, String> {
    let bad = text.contains(|character: char| character == ':' || character.is_control());
    if bad { Err("the description holds a colon or a control character".to_owned()) } else { Ok(text) }
}

fn check_path(path: String) -> Result<String, String> {
    let bad = path.contains(|character: char| character == ':' || character.is_control());
    if path.starts_with('/') && !bad {
        Ok(path)
    } else {
        Err(format!("`{}` is not an absolute path", path.escape_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: Id) -> User {
        User { name: name.to_owned(), uid, group: None, gecos: None, home: None, shell: None, locked: false }
    }

    #[test]
    fn every_form_of_line_is_read() {
        let text = "# a comment\n\n  ; another\n\
            u httpd 404 \"HTTP User\"\n\
            u! _authd /usr/bin/authd \"Authorization user\" - /bin/sh\n\
            u games 5:60 - /usr/games /usr/sbin/nologin\n\
            u redis -:redis 'Redis server' %S/redis\n\
            g input - -\ng kvm 78\nm _authd input\nr - 500-900\nr - 33\n";
        let name = |text: &str| Some(text.to_owned());
        let expected = [
            Line::User(User { gecos: name("HTTP User"), ..user("httpd", Id::Fixed(404)) }),
            Line::User(User {
                gecos: name("Authorization user"),
                shell: name("/bin/sh"),
                locked: true,
                ..user("_authd", Id::OwnerOf("/usr/bin/authd".to_owned()))
            }),
            Line::User(User {
                group: Some(GroupReference::Id(60)),
                home: name("/usr/games"),
                shell: name("/usr/sbin/nologin"),
                ..user("games", Id::Fixed(5))
            }),
            Line::User(User {
                group: Some(GroupReference::Name("redis".to_owned())),
                gecos: name("Redis server"),
                home: name("/var/lib/redis"),
                ..user("redis", Id::Automatic)
            }),
            Line::Group { name: "input".to_owned(), gid: Id::Automatic },
            Line::Group { name: "kvm".to_owned(), gid: Id::Fixed(78) },
            Line::Member { user: "_authd".to_owned(), group: "input".to_owned() },
            Line::Range { first: 500, last: 900 },
            Line::Range { first: 33, last: 33 },
        ];
        assert_eq!(parse("a.conf", text).unwrap(), expected);
    }

    #[test]
    fn malformed_lines_are_named() {
        let cases = [
            ("x a", "a.conf:1: unknown type `x` (known: u, u!, g, m, r)"),
            ("u", "a.conf:1: a name is missing"),
            ("\nu 1a", "a.conf:2: `1a` is not a name for a user or group"),
            ("u a:b:0", "a.conf:1: `a:b:0` is not a name for a user or group"),
            ("u a 0x5", "a.conf:1: `0x5` is not an id"),
            ("u a 4294967295", "a.conf:1: the id 4294967295 has a special meaning and cannot be used"),
            ("u a - \"x:y\"", "a.conf:1: the description holds a colon or a control character"),
            ("u a - x home", "a.conf:1: `home` is not an absolute path"),
            ("u a - x /home /bin/sh more", "a.conf:1: the line has more than six fields"),
            ("u a - \"x", "a.conf:1: a quotation mark is not closed"),
            ("u a - %H", "a.conf:1: `%H` has a value only on a booted machine"),
            ("g a - description", "a.conf:1: a line of type `g` takes no such field"),
            ("m a", "a.conf:1: a name is missing"),
            ("r - 9-5", "a.conf:1: `9-5` is not a range"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse("a.conf", text).unwrap_err().to_string(), expected);
        }
    }
}
