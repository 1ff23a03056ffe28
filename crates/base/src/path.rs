//! Paths inside a root filesystem that cannot point outside of it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path below the root of a tree: UTF-8, relative, no empty, `.` or `..` component, no NUL, at most 4,096 bytes
/// with components of at most 255. The root itself is the empty path. Displays with a leading `/`; orders bytewise,
/// so that a directory always comes before what lies in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Box<str>);

/// Why a path cannot be inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is `..`, so the path could leave the tree.
    #[error("path `{0}` has a `..` component, which could leave the root")]
    ParentComponent(String),
    /// The path holds a NUL byte.
    #[error("path `{0}` holds a NUL byte")]
    Nul(String),
    /// The path or one of its components is longer than Linux allows.
    #[error("path `{0}…` is too long (4096 bytes, 255 for each component)")]
    TooLong(String),
    /// The path is not UTF-8.
    #[error("path `{0}` is not UTF-8")]
    NotUtf8(String),
}

impl TreePath {
    /// The root directory of the tree.
    #[must_use]
    pub fn root() -> Self {
        Self("".into())
    }

    /// Reads a path as an archive or a definition writes it: leading `/` and `./`, repeated and trailing slashes
    /// and `.` components carry no meaning and are dropped.
    ///
    /// # Errors
    /// When the path could leave the tree or is no path that Linux takes.
    pub fn new(text: &str) -> Result<Self, PathError> {
        let shown = || text.chars().take(200).collect::<String>();
        if text.contains('\0') {
            return Err(PathError::Nul(shown()));
        }
        let mut clean = String::with_capacity(text.len());
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => return Err(PathError::ParentComponent(shown())),
                name => {
                    if name.len() > 255 {
                        return Err(PathError::TooLong(shown()));
                    }
                    if !clean.is_empty() {
                        clean.push('/');
                    }
                    clean.push_str(name);
                }
            }
        }
        if clean.len() > 4096 {
            return Err(PathError::TooLong(shown()));
        }
        Ok(Self(clean.into()))
    }

    /// As [`TreePath::new`], from the raw bytes of an archive member's name.
    ///
    /// # Errors
    /// Also when the bytes are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            PathError::NotUtf8(String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned())
        })?;
        Self::new(text)
    }

    /// The path without a leading slash; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root directory.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that holds this path; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(directory, _)| directory).into()))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// This path with more below it.
    ///
    /// # Errors
    /// As [`TreePath::new`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::new(&format!("{}/{below}", self.0))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// Whether this path is `directory` or lies in it, at any depth.
    #[must_use]
    pub fn starts_with(&self, directory: &Self) -> bool {
        directory.is_root()
            || self.0.strip_prefix(&*directory.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Resolves the target of a symlink that lies at this path: absolute targets start at the root, relative ones at
    /// the link's directory, and `..` at the root stays there, as the kernel does it. Follows no further link.
    ///
    /// # Errors
    /// When the target is no path that Linux takes.
    pub fn resolve_link(&self, target: &str) -> Result<Self, PathError> {
        let mut components: Vec<&str> = Vec::new();
        if !target.starts_with('/') {
            components.extend(self.components());
            components.pop();
        }
        for component in target.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    components.pop();
                }
                name => components.push(name),
            }
        }
        Self::new(&components.join("/"))
    }
}

/// Lets ordered maps be searched by text.
impl std::borrow::Borrow<str> for TreePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for TreePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TreePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn spellings_of_one_path_are_equal() {
        for text in ["usr/lib", "/usr/lib", "./usr/lib/", "usr//./lib"] {
            assert_eq!(path(text).as_str(), "usr/lib");
        }
        assert!(path("./").is_root());
    }

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        for text in ["..", "../etc/passwd", "usr/../../etc", "a\0b", &"x".repeat(256)] {
            assert!(TreePath::new(text).is_err(), "{text}");
        }
        assert!(TreePath::from_bytes(b"usr/\xff").is_err());
    }

    #[test]
    fn links_resolve_as_the_kernel_does() {
        let link = path("usr/lib/libz.so");
        assert_eq!(link.resolve_link("libz.so.1").unwrap(), path("usr/lib/libz.so.1"));
        assert_eq!(link.resolve_link("../../etc/x").unwrap(), path("etc/x"));
        assert_eq!(link.resolve_link("../../../../etc/x").unwrap(), path("etc/x"));
        assert_eq!(link.resolve_link("/etc/x").unwrap(), path("etc/x"));
    }

    #[test]
    fn containment_goes_by_components() {
        assert!(path("usr/lib/a").starts_with(&path("usr/lib")));
        assert!(path("usr/lib").starts_with(&path("usr/lib")));
        assert!(!path("usr/lib64").starts_with(&path("usr/lib")));
        assert!(path("usr").starts_with(&TreePath::root()));
    }
}
