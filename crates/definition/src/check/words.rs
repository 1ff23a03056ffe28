//! The small languages inside of a definition: names, paths, modes, ports, owners. Text in, value or [`Fault`] out.

use calypte_base::TreePath;

use crate::fs::FsOwner;
use crate::image::{EndOfLife, Port, Protocol};
use crate::nearest::nearest;

/// What is wrong with a text, and what to write in its place. The place itself is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Numbers above this are no user: 65534 is `nobody`, 65535 means "no change" to the kernel.
const LAST_ID: u32 = 65533;

/// Words of `[a-z0-9]`, joined by dashes; the first starts with a letter.
fn kebab(text: &str, what: &str) -> Result<String, Fault> {
    let good = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of {what}"))
        .hint("use lower-case letters and digits, joined by single dashes, a letter first"))
}

pub(crate) fn family(text: &str) -> Result<String, Fault> {
    kebab(text, "an image family")
}

pub(crate) fn variant(text: &str) -> Result<String, Fault> {
    kebab(text, "a variant")
}

pub(crate) fn universe(text: &str) -> Result<String, Fault> {
    kebab(text, "a universe")
}

pub(crate) fn program(text: &str) -> Result<String, Fault> {
    kebab(text, "a program of the catalog")
}

pub(crate) fn slice(text: &str) -> Result<String, Fault> {
    kebab(text, "a set of files")
}

/// A stream: no dash, so that `family:stream-variant` can be read back.
pub(crate) fn stream(text: &str) -> Result<String, Fault> {
    let good = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.');
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of a stream"))
        .hint("use lower-case letters, digits and dots, no dash: \"3.14\", \"mainline\""))
}

/// Why something is as it is: text for people.
pub(crate) fn reason(text: &str) -> Result<String, Fault> {
    line(text).map(|()| text.to_owned())
}

/// Text for people: one line or several, but not empty and without control characters.
pub(crate) fn line(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("this text is empty").hint("say something, or delete the key"));
    }
    if text.chars().any(|character| character.is_control() && character != '\n') {
        return Err(Fault::new("this text holds a control character").hint("delete it"));
    }
    Ok(())
}

pub(crate) fn url(text: &str) -> Result<String, Fault> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    if rest.is_empty() || rest.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(
            Fault::new(format!("`{text}` is not a web address")).hint("write it as `https://example.org/`")
        );
    }
    Ok(text.to_owned())
}

/// A Debian package name (Debian policy 5.6.1).
pub(crate) fn deb_package(text: &str) -> Result<String, Fault> {
    let good = text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte));
    if good { Ok(text.to_owned()) } else { Err(not_a_package(text, "a Debian package")) }
}

/// An RPM package name.
pub(crate) fn rpm_package(text: &str) -> Result<String, Fault> {
    let good = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-_".contains(&byte));
    if good { Ok(text.to_owned()) } else { Err(not_a_package(text, "a package")) }
}

/// The name of a package in which `{arch}` stands for the architecture as the distribution writes it.
pub(crate) fn of_an_architecture(
    text: &str,
    package: impl Fn(&str) -> Result<String, Fault>,
) -> Result<String, Fault> {
    package(&text.replace("{arch}", "arm64")).map(|_| text.to_owned())
}

fn not_a_package(text: &str, what: &str) -> Fault {
    let fault = Fault::new(format!("`{text}` is not the name of {what}"));
    if text.contains(['=', '<', '>', ' ', '(']) {
        return fault
            .hint("write the name alone: versions are chosen by the lock, and kept apart by `streams:`");
    }
    if text.contains('{') {
        return fault
            .hint("`{stream}` can be used in a family with streams, and nothing else stands in braces");
    }
    if text.contains(':') {
        return fault.hint("write the name alone: architectures are chosen when an image is locked");
    }
    fault.hint(
        "write the name as the distribution does; a leading `-` takes the package out of the list again",
    )
}

/// An absolute path below the root.
pub(crate) fn path(text: &str) -> Result<TreePath, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::new(format!("`{text}` is not an absolute path")).hint(format!("write `/{text}`")));
    }
    let path = TreePath::new(text)
        .map_err(|error| Fault::new(error.to_string()).hint("write the path from the root, without `..`"))?;
    if path.is_root() {
        return Err(Fault::new("the root directory itself cannot be named here").hint("name a path below it"));
    }
    if path.to_string() != text {
        return Err(Fault::new(format!("`{text}` is a roundabout way to write `{path}`"))
            .hint(format!("write `{path}`")));
    }
    Ok(path)
}

/// The name of a file beside others, as text: relative, without `.` and `..`.
pub(crate) fn file_name(text: &str) -> Result<String, Fault> {
    let good = !text.starts_with('/')
        && TreePath::new(text).is_ok_and(|path| path.to_string() == format!("/{text}"));
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of a file here"))
        .hint("write it as `main.go` or `source/main.go`"))
}

/// The name of an image with its registry, without tag and digest.
pub(crate) fn image_name(text: &str) -> Result<String, Fault> {
    let word = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && part.bytes().all(inside)
    };
    let (registry, path) = text.split_once('/').unwrap_or_default();
    let host = registry.split_once(':').map_or(registry, |(host, _)| host);
    if word(host) && host.contains('.') && path.split('/').all(word) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of an image"))
        .hint("write it with its registry and without a tag: `docker.io/library/nginx`"))
}

/// As [`path`], but may be the root.
pub(crate) fn directory(text: &str) -> Result<TreePath, Fault> {
    if text == "/" { Ok(TreePath::root()) } else { path(text) }
}

/// The pattern of a `delete`, without its leading slash.
pub(crate) fn glob(text: &str) -> Result<String, Fault> {
    path(text)?;
    let pattern = text.trim_start_matches('/');
    if text.contains(['[', ']', '\\', '!']) {
        return Err(Fault::new(format!("`{text}` is not a pattern that is understood here"))
            .hint("use `*` and `?` for characters other than `/`, `**` for any, `{a,b}` for either"));
    }
    let mut open = false;
    for character in pattern.chars() {
        match (character, open) {
            ('{', true) | ('}', false) | ('/', true) => return Err(braces(text)),
            ('{', false) => open = true,
            ('}', true) => open = false,
            _ => {}
        }
    }
    if open {
        return Err(braces(text));
    }
    if pattern.split('/').next().is_some_and(|first| first.contains(['*', '?', '{'])) {
        return Err(Fault::new(format!("`{text}` would delete from everywhere"))
            .hint("name at least the first directory"));
    }
    Ok(pattern.to_owned())
}

fn braces(text: &str) -> Fault {
    Fault::new(format!("the braces of `{text}` do not match"))
        .hint("write `{a,b}`, without `/` or braces inside")
}

/// Permissions as an octal number of four digits (or five, with the special bits): `0755`, `01777`.
pub(crate) fn mode(text: &str) -> Result<u32, Fault> {
    let octal = |text: &str| text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let good = text.starts_with('0') && (4..=5).contains(&text.len()) && octal(text);
    match u32::from_str_radix(text, 8) {
        Ok(mode) if good && mode <= 0o7777 => Ok(mode),
        _ => {
            let fault = Fault::new(format!("`{text}` is not a file mode"));
            let hint = "write four octal digits in quotes: \"0755\"";
            match text.len() {
                3 if octal(text) => Err(fault.hint(format!("write \"0{text}\""))),
                _ => Err(fault.hint(hint)),
            }
        }
    }
}

pub(crate) fn owner(text: &str) -> Result<FsOwner, Fault> {
    match text {
        "root" => Ok(FsOwner::Root),
        "user" => Ok(FsOwner::User),
        _ => ids(text).map(|(uid, gid)| FsOwner::Ids { uid, gid }).ok_or_else(|| {
            Fault::new(format!("`{text}` is not an owner"))
                .hint("write `root`, `user` (the image's own user), or numbers as \"UID:GID\"")
        }),
    }
}

/// `UID:GID`.
pub(crate) fn user_and_group(text: &str) -> Result<(u32, u32), Fault> {
    ids(text)
        .ok_or_else(|| Fault::new(format!("`{text}` is not a user and group")).hint("write numbers: \"0:0\""))
}

fn ids(text: &str) -> Option<(u32, u32)> {
    let (uid, gid) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number <= LAST_ID)
    };
    Some((number(uid)?, number(gid)?))
}

/// A user's or group's number.
pub(crate) fn id(number: u32) -> Result<u32, Fault> {
    if number <= LAST_ID {
        return Ok(number);
    }
    Err(Fault::new(format!("`{number}` is not a user's number"))
        .hint(format!("use 0 to {LAST_ID}; 65534 is `nobody`")))
}

/// A user name as useradd(8) takes it.
pub(crate) fn user_name(text: &str) -> Result<String, Fault> {
    let good = text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of a user"))
        .hint("use at most 32 lower-case letters, digits, `_` and `-`, a letter first"))
}

pub(crate) fn port(text: &str) -> Result<Port, Fault> {
    let hint = "write it as `8080/tcp` or `53/udp`, 1 to 65535";
    let fault = || Fault::new(format!("`{text}` is not a port"));
    let (number, protocol) = text.split_once('/').ok_or_else(|| fault().hint(hint))?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(fault().hint(hint)),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault().hint(hint));
    }
    match number.parse() {
        Ok(number) if number > 0 => Ok(Port { number, protocol }),
        _ => Err(Fault::new(format!("port `{number}` is out of range")).hint(hint)),
    }
}

pub(crate) fn environment_name(text: &str) -> Result<String, Fault> {
    let good = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of an environment variable"))
        .hint("use letters, digits and `_`, no digit first"))
}

/// A value that is handed to a program: anything without NUL.
pub(crate) fn argument(text: &str) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::new("a NUL byte cannot be handed to a program").hint("delete it"));
    }
    Ok(text.to_owned())
}

/// A module as the kernel calls it: `virtio_blk`, with `_` where its file may have `-`.
pub(crate) fn kernel_module(text: &str) -> Result<String, Fault> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the name of a kernel module"))
        .hint("use the kernel's own name, with `_` in place of `-` and without `.ko`"))
}

/// One argument of the kernel's command line.
pub(crate) fn kernel_argument(text: &str) -> Result<String, Fault> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not an argument of the kernel"))
        .hint("write one argument an entry, without blanks and quotation marks"))
}

pub(crate) fn label(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(
            Fault::new(format!("`{text}` is not the name of a label")).hint("write it as `org.example.name`")
        );
    }
    Ok(text.to_owned())
}

pub(crate) fn signal(text: &str) -> Result<String, Fault> {
    const SIGNALS: [&str; 8] =
        ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL"];
    let real_time = text.strip_prefix("SIGRTMIN+").and_then(|number| number.parse::<u8>().ok());
    if SIGNALS.contains(&text) || real_time.is_some_and(|number| number <= 30) {
        return Ok(text.to_owned());
    }
    let fault = Fault::new(format!("`{text}` is not a signal that stops a container"));
    let with_prefix = format!("SIG{}", text.to_ascii_uppercase());
    match nearest(text, SIGNALS).or_else(|| nearest(&with_prefix, SIGNALS)) {
        Some(meant) => Err(fault.hint(format!("did you mean `{meant}`?"))),
        None => Err(fault.hint("write it by name: `SIGTERM`, `SIGQUIT`, `SIGRTMIN+3`")),
    }
}

/// Capabilities as setcap(8) writes them.
pub(crate) fn capabilities(text: &str) -> Result<String, Fault> {
    let good = text.split_once('=').is_some_and(|(names, flags)| {
        let named = |name: &str| {
            name.strip_prefix("cap_").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            })
        };
        names.split(',').all(named) && !flags.is_empty() && flags.bytes().all(|byte| b"eip".contains(&byte))
    });
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` are not file capabilities"))
        .hint("write them as `cap_net_bind_service=ep`"))
}

pub(crate) fn end_of_life(text: &str) -> Result<EndOfLife, Fault> {
    if let Some(product) = text.strip_prefix("endoflife:") {
        let good = !product.is_empty()
            && product
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
        if good {
            return Ok(EndOfLife::Product(product.to_owned()));
        }
    }
    let fields: Vec<&str> = text.split('-').collect();
    let number = |text: &str, length: usize, range: std::ops::RangeInclusive<u32>| {
        text.len() == length && text.parse().is_ok_and(|number| range.contains(&number))
    };
    if let [year, month, day] = fields.as_slice()
        && number(year, 4, 1970..=9999)
        && number(month, 2, 1..=12)
        && number(day, 2, 1..=31)
    {
        return Ok(EndOfLife::Date(text.to_owned()));
    }
    Err(Fault::new(format!("`{text}` is no end of life"))
        .hint("write `endoflife:PRODUCT` with the name that endoflife.date uses, or a day as \"2027-10-31\""))
}
