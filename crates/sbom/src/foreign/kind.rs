//! A path → what it tells when it is where package managers and language tools put theirs, and how much of it is read.

use calypte_base::TreePath;

/// A database of packages: that of a desktop with everything has 200 MB.
const DATABASE: u64 = 512 << 20;

/// The record of all packages of a system in one text: 3 MB for 2,000 packages.
const RECORDS: u64 = 128 << 20;

/// Any other text: file lists, copyright files, compressed changelogs.
const TEXT: u64 = 16 << 20;

/// What a file at such a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    OsRelease,
    DpkgStatus,
    DpkgList,
    DpkgDiversions,
    /// `copyright` and changelogs of a Debian package.
    Documentation,
    /// `rpmdb.sqlite`
    RpmSqlite,
    /// `Packages.db`
    RpmNdb,
    ApkInstalled,
    /// `METADATA`, `PKG-INFO`
    PythonMetadata,
    /// `RECORD`, `installed-files.txt`
    PythonFiles,
    /// `package.json` at the root of an installed package
    NpmPackage,
}

/// Where rpm keeps its database.
pub(super) const RPM_DIRECTORIES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];

impl Kind {
    /// The kind of the file at this path; none when its path says nothing.
    pub(super) fn of(path: &TreePath) -> Option<Self> {
        let text = path.as_str();
        let (directory, name) = text.rsplit_once('/').unwrap_or(("", text));
        match text {
            "etc/os-release" | "usr/lib/os-release" => return Some(Self::OsRelease),
            "var/lib/dpkg/status" => return Some(Self::DpkgStatus),
            "var/lib/dpkg/diversions" => return Some(Self::DpkgDiversions),
            "lib/apk/db/installed" | "usr/lib/apk/db/installed" => return Some(Self::ApkInstalled),
            _ => {}
        }
        let (above, parent) = directory.rsplit_once('/').unwrap_or(("", directory));
        match name {
            "METADATA" if parent.ends_with(".dist-info") => Some(Self::PythonMetadata),
            "RECORD" if parent.ends_with(".dist-info") => Some(Self::PythonFiles),
            "PKG-INFO" if is_egg(parent) => Some(Self::PythonMetadata),
            "installed-files.txt" if is_egg(parent) => Some(Self::PythonFiles),
            _ if name.ends_with(".egg-info") => Some(Self::PythonMetadata),
            "package.json" if is_npm_root(above) => Some(Self::NpmPackage),
            "rpmdb.sqlite" if RPM_DIRECTORIES.contains(&directory) => Some(Self::RpmSqlite),
            "Packages.db" if RPM_DIRECTORIES.contains(&directory) => Some(Self::RpmNdb),
            _ if directory == "var/lib/dpkg/status.d" => Some(Self::DpkgStatus),
            _ if directory == "var/lib/dpkg/info" && name.ends_with(".list") => Some(Self::DpkgList),
            _ if above == "usr/share/doc" && (name == "copyright" || is_changelog(name)) => {
                Some(Self::Documentation)
            }
            _ => None,
        }
    }

    /// The most bytes of such a file that are read.
    pub(super) const fn limit(self) -> u64 {
        match self {
            Self::RpmSqlite | Self::RpmNdb => DATABASE,
            Self::DpkgStatus | Self::ApkInstalled => RECORDS,
            _ => TEXT,
        }
    }
}

fn is_egg(directory: &str) -> bool {
    directory.ends_with(".egg-info") || directory == "EGG-INFO"
}

/// Whether packages lie in this directory: `…/node_modules` or `…/node_modules/@scope`.
fn is_npm_root(directory: &str) -> bool {
    let (above, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    last == "node_modules"
        || (last.starts_with('@') && (above == "node_modules" || above.ends_with("/node_modules")))
}

/// The names that Debian's policy 12.7 gives changelogs.
fn is_changelog(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name == "changelog" || name.starts_with("changelog.Debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_they_are() {
        for (path, expected) in [
            ("opt/node_modules/a/package.json", Some(Kind::NpmPackage)),
            ("node_modules/@s/a/package.json", Some(Kind::NpmPackage)),
            ("node_modules/a/node_modules/b/package.json", Some(Kind::NpmPackage)),
            ("node_modules/a/dist/package.json", None),
            ("node_modules/package.json", None),
            ("app/package.json", None),
            ("usr/lib/python3/dist-packages/a-1.dist-info/METADATA", Some(Kind::PythonMetadata)),
            ("usr/lib/python3/dist-packages/a-1.egg-info", Some(Kind::PythonMetadata)),
            ("usr/lib/python3/dist-packages/a-1.egg-info/PKG-INFO", Some(Kind::PythonMetadata)),
            ("a.dist-info/sub/METADATA", None),
            ("METADATA", None),
            ("var/lib/rpm/rpmdb.sqlite", Some(Kind::RpmSqlite)),
            ("srv/var/lib/rpm/rpmdb.sqlite", None),
            ("usr/share/doc/a/changelog.Debian.amd64.gz", Some(Kind::Documentation)),
            ("usr/share/doc/a/examples/changelog", None),
        ] {
            assert_eq!(Kind::of(&TreePath::new(path).unwrap()), expected, "{path}");
        }
    }
}
