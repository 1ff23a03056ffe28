//! `effects.yaml`: what reviewed scripts of packages create beside the files that these ship: accounts, files,
//! directories and links.

use calypte_base::TreePath;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::alternatives::is_absolute;
use crate::contradiction::Contradiction;

/// The entries in the order of the file, which is the order in which they are done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Effects(pub Vec<Scripted>);

/// What the scripts of one package do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scripted {
    /// The package.
    pub package: String,
    /// Only where this path leads to something: what nothing in the image can use is not made.
    #[serde(default)]
    pub only_with: Option<String>,
    /// Users that it creates.
    #[serde(default)]
    pub users: Vec<String>,
    /// Groups that it creates, beside the users' own.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The rest, in the script's order.
    #[serde(default)]
    pub effects: Vec<Effect>,
}

/// Something that a script does to the file system. The key that names the path says what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Makes a directory, or changes the one that is there.
    Directory(DirectoryEffect),
    /// Copies a file where nothing is yet, if there is something to copy.
    Copy(CopyEffect),
    /// Writes a file where nothing is yet.
    File(FileEffect),
    /// Links a path to a target where nothing is yet, or only an empty directory.
    Link(LinkEffect),
    /// Changes mode and owner of what is there.
    Access(AccessEffect),
    /// Adds a service to a database of `/etc/nsswitch.conf` (nsswitch.conf(5)), where that file is.
    Nss(NssEffect),
}

/// A directory and its access.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryEffect {
    /// Its path.
    pub directory: String,
    /// Permissions, with setuid, setgid and sticky bit (`07777`).
    #[serde(deserialize_with = "mode")]
    pub mode: u32,
    /// Whose it is.
    #[serde(default = "root")]
    pub user: String,
    /// Its group.
    #[serde(default = "root")]
    pub group: String,
}

/// A file that has the content of another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyEffect {
    /// The other file.
    pub copy: String,
    /// The new one, mode 0644.
    pub to: String,
}

/// A file with its content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEffect {
    /// Its path.
    pub file: String,
    /// Permissions, with setuid, setgid and sticky bit (`07777`).
    #[serde(deserialize_with = "mode")]
    pub mode: u32,
    /// Whose it is.
    #[serde(default = "root")]
    pub user: String,
    /// Its group.
    #[serde(default = "root")]
    pub group: String,
    /// All of its text; `{architecture}` stands for the image's, as Debian calls it.
    pub content: String,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEffect {
    /// Its path.
    pub link: String,
    /// What it points to, as written.
    pub target: String,
}

/// New access for what is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessEffect {
    /// The file or directory.
    pub access: String,
    /// Permissions, with setuid, setgid and sticky bit (`07777`).
    #[serde(deserialize_with = "mode")]
    pub mode: u32,
    /// Whose it becomes.
    #[serde(default = "root")]
    pub user: String,
    /// Its new group.
    #[serde(default = "root")]
    pub group: String,
}

/// A service of the name service switch, as Debian's dh_installnss adds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NssEffect {
    /// The database: `hosts`.
    pub nss: String,
    /// The service with what follows it: `resolve [!UNAVAIL=return]`.
    pub service: String,
    /// The services before the first of which it comes.
    #[serde(default)]
    pub before: Vec<String>,
    /// The services behind the first of which it comes.
    #[serde(default)]
    pub behind: Vec<String>,
}

impl Effect {
    /// The user and the group that it gives something to.
    #[must_use]
    pub fn owner(&self) -> Option<(&str, &str)> {
        match self {
            Self::Directory(DirectoryEffect { user, group, .. })
            | Self::File(FileEffect { user, group, .. })
            | Self::Access(AccessEffect { user, group, .. }) => Some((user, group)),
            Self::Copy(_) | Self::Link(_) | Self::Nss(_) => None,
        }
    }

    fn paths(&self) -> Vec<&String> {
        match self {
            Self::Directory(effect) => vec![&effect.directory],
            Self::Copy(effect) => vec![&effect.copy, &effect.to],
            Self::File(effect) => vec![&effect.file],
            Self::Link(effect) => vec![&effect.link],
            Self::Access(effect) => vec![&effect.access],
            Self::Nss(_) => Vec::new(),
        }
    }
}

impl Effects {
    /// What makes no sense in the table: a path that is none, a link to itself.
    #[must_use]
    pub fn clashes(&self) -> Vec<Contradiction> {
        let mut clashes = Vec::new();
        for scripted in &self.0 {
            let paths = scripted.effects.iter().flat_map(Effect::paths).chain(&scripted.only_with);
            for path in paths.filter(|path| !is_absolute(path)) {
                let message = format!("`{path}` is not an absolute path");
                clashes.push(Contradiction { text: path.clone(), message });
            }
            for effect in &scripted.effects {
                let Effect::Link(LinkEffect { link, target }) = effect else { continue };
                let Ok(path) = TreePath::new(link) else { continue };
                if path.resolve_link(target).as_ref() == Ok(&path) {
                    let message = format!("`{link}` would link to itself");
                    clashes.push(Contradiction { text: link.clone(), message });
                }
            }
        }
        clashes
    }
}

fn root() -> String {
    "root".to_owned()
}

/// A quoted octal number: `"0755"`.
fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix('0').filter(|digits| (3..=4).contains(&digits.len()));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
    number.ok_or_else(|| {
        D::Error::custom(format!("`{text}` is no mode: write four or five octal digits, `\"0755\"`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Effects, String> {
        calypte_definition::yaml::from_str("effects.yaml", text).map_err(|error| error.message)
    }

    #[test]
    fn effects_are_read_by_their_key() {
        let text = "- package: p\n  only-with: /bin/sh\n  users: [u]\n  effects:\n    - {directory: /var/x, mode: \
                    \"02750\", user: u, group: adm}\n    - {link: /x, target: y}\n";
        let [scripted] = &read(text).unwrap().0[..] else { panic!() };
        assert_eq!(scripted.effects[0].owner(), Some(("u", "adm")));
        assert!(matches!(&scripted.effects[0], Effect::Directory(made) if made.mode == 0o2750));
        assert_eq!(scripted.effects[1].owner(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("mode: \"755\"", "`755` is no mode: write four or five octal digits, `\"0755\"`"),
            ("mode: \"0798\"", "`0798` is no mode: write four or five octal digits, `\"0755\"`"),
        ] {
            let entry = format!("- package: p\n  effects: [{{directory: /x, {text}}}]\n");
            assert_eq!(read(&entry).unwrap_err(), message);
        }
        let links =
            "- package: p\n  only-with: x\n  effects: [{link: /a/b, target: b}, {link: c, target: d}]\n";
        let messages: Vec<String> =
            read(links).unwrap().clashes().into_iter().map(|clash| clash.message).collect();
        assert_eq!(
            messages,
            ["`c` is not an absolute path", "`x` is not an absolute path", "`/a/b` would link to itself"]
        );
    }
}
