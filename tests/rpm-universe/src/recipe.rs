//! How one package is made: which Debian packages' files it takes, what becomes of them, and what its spec file says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::debian::Packages;
use crate::tools::{Failure, run};

/// For which architectures a package is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One for x86_64 and one for aarch64.
    Native,
    /// One that both repositories hold.
    Independent,
    /// One for 32 bits, beside those for x86_64.
    Multilib,
}

/// A package to be.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// `[epoch:]version-release`; `{deb}` stands for the upstream version of that Debian package.
    pub version: &'static str,
    /// Its architectures.
    pub kind: Kind,
    /// The Debian packages whose files it takes; `all:` before one that has no architecture.
    pub debs: &'static [&'static str],
    /// Lines of the spec's first part: relations.
    pub tags: &'static str,
    /// Shell lines that run in the tree, after the files have been moved to where Fedora has them.
    pub tree: &'static str,
    /// What stands before a path in `%files`; the longest path that fits counts, and `/etc/x/` fits all below it.
    pub marks: &'static [(&'static str, &'static str)],
    /// Further lines of `%files`.
    pub files: &'static str,
    /// Scriptlets.
    pub sections: &'static str,
    /// The compression of the payload, as rpmbuild names it.
    pub payload: &'static str,
}

/// A package with nothing in it, to be filled in.
pub const EMPTY: Recipe = Recipe {
    name: "",
    version: "1-1.fc44",
    kind: Kind::Native,
    debs: &[],
    tags: "",
    tree: "",
    marks: &[],
    files: "",
    sections: "",
    payload: "w1.zstdio",
};

/// An architecture that a package is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// As RPM calls it.
    pub rpm: &'static str,
    /// As Debian calls it.
    pub debian: &'static str,
    /// The directory of its libraries below Debian's `/usr/lib`.
    triplet: &'static str,
    /// The dynamic loader.
    loader: &'static str,
}

/// The two architectures.
pub const TARGETS: [Target; 2] = [
    Target { rpm: "x86_64", debian: "amd64", triplet: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
    Target { rpm: "aarch64", debian: "arm64", triplet: "aarch64-linux-gnu", loader: "ld-linux-aarch64.so.1" },
];

impl Recipe {
    /// The names by which apt fetches what it takes, for both architectures.
    pub fn downloads(&self) -> impl Iterator<Item = String> {
        self.debs.iter().flat_map(|deb| match deb.strip_prefix("all:") {
            Some(name) => vec![name.to_owned()],
            None => TARGETS.iter().map(|target| format!("{deb}:{}", target.debian)).collect(),
        })
    }

    /// Its architecture, made for this target, as RPM calls it.
    pub fn architecture(&self, target: Target) -> &'static str {
        match self.kind {
            Kind::Native => target.rpm,
            Kind::Independent => "noarch",
            Kind::Multilib => "i686",
        }
    }

    /// Makes its tree.
    pub fn make_tree(
        &self,
        target: Target,
        debs: &Packages,
        assets: &Path,
        tree: &Path,
    ) -> Result<(), Failure> {
        fs_err::create_dir_all(tree)?;
        for deb in self.debs {
            let (file, _) = debs.get(deb.trim_start_matches("all:"), target.debian)?;
            unpack(file, target, tree)?;
        }
        let script = format!(". {}\n{TIDY}\n{}", assets.join("prelude.sh").display(), self.tree);
        run(Command::new("sh")
            .args(["-c", &script])
            .current_dir(tree)
            .env("name", self.name)
            .env("arch", self.architecture(target))
            .env("loader", target.loader))
        .map_err(|failure| Failure::Failed(format!("tree of {}: {failure}", self.name)))?;
        Ok(())
    }

    /// Its spec file. `shared` are the paths that belong to `filesystem`.
    pub fn spec(&self, debs: &Packages, tree: &Path, shared: &BTreeSet<String>) -> Result<String, Failure> {
        let version = self.full_version(debs)?;
        let (epoch, version) = version.split_once(':').unwrap_or(("", &version));
        let (version, release) = version
            .rsplit_once('-')
            .ok_or_else(|| Failure::Failed(format!("{}: version without a release", self.name)))?;
        let mut spec = format!("Name: {}\nVersion: {version}\nRelease: {release}\n", self.name);
        if !epoch.is_empty() {
            writeln!(spec, "Epoch: {epoch}").unwrap_or_default();
        }
        if self.kind == Kind::Independent {
            spec.push_str("BuildArch: noarch\n");
        }
        let mut files = String::new();
        for path in paths(tree, tree)? {
            if self.name == "filesystem" || !shared.contains(&path) {
                self.list(tree, &path, &mut files)?;
            }
        }
        write!(
            spec,
            "Summary: {name} for tests\nLicense: MIT\nURL: https://example.org/{name}\nVendor: Fixture\n{tags}\n\
             %description\nMade of the files of Debian packages, for tests.\n\n\
             %install\nmkdir -p %{{buildroot}}\ncp -a --link {tree}/. %{{buildroot}}/\n\n{sections}\n\
             %files\n%defattr(-,root,root,-)\n{files}{more}\n",
            name = self.name,
            tags = self.tags,
            tree = tree.display(),
            sections = self.sections,
            more = self.files,
        )
        .unwrap_or_default();
        Ok(spec)
    }

    fn full_version(&self, debs: &Packages) -> Result<String, Failure> {
        match (self.version.find('{'), self.version.find('}')) {
            (Some(start), Some(end)) => {
                let upstream = debs.version(&self.version[start + 1..end])?;
                Ok(format!("{}{upstream}{}", &self.version[..start], &self.version[end + 1..]))
            }
            _ => Ok(self.version.to_owned()),
        }
    }

    /// Adds a path of the tree to the list of files.
    fn list(&self, tree: &Path, path: &str, files: &mut String) -> Result<(), Failure> {
        let kind = fs_err::symlink_metadata(tree.join(path.trim_start_matches('/')))?;
        let mark = self.mark(path, kind.is_dir());
        if kind.is_dir() {
            files.push_str("%dir ");
        }
        if !mark.contains("%attr") && !kind.is_symlink() {
            write!(files, "%attr({:04o},root,root) ", kind.permissions().mode() & 0o7777).unwrap_or_default();
        }
        // What `%files` would take for a pattern or a macro.
        let quoted: String = path
            .chars()
            .map(|character| match character {
                '[' => "[[]".to_owned(),
                '%' => "%%".to_owned(),
                other => other.to_string(),
            })
            .collect();
        writeln!(files, "{mark} \"{quoted}\"").unwrap_or_default();
        Ok(())
    }

    fn mark(&self, path: &str, is_directory: bool) -> &'static str {
        let fits = |prefix: &str| path == prefix || (prefix.ends_with('/') && path.starts_with(prefix));
        let own = self.marks.iter().filter(|(prefix, _)| fits(prefix)).max_by_key(|(prefix, _)| prefix.len());
        let usual = [
            ("/etc/", "%config(noreplace)"),
            ("/usr/share/doc/", "%doc"),
            ("/usr/share/licenses/", "%license"),
        ];
        let usual = usual.iter().find(|(prefix, _)| !is_directory && path.starts_with(prefix));
        own.or(usual).map_or("", |(_, mark)| mark)
    }
}

/// Every path of a tree with a slash before it, sorted, the root first.
pub fn paths(root: &Path, directory: &Path) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    if root == directory {
        found.push("/".to_owned());
    }
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        found.push(format!("/{shown}"));
        if path.is_dir() && !path.is_symlink() {
            found.extend(paths(root, &path)?);
        }
    }
    found.sort();
    Ok(found)
}

/// Unpacks a Debian package to where Fedora has its files: all below `/usr`, one directory of programs, libraries in
/// `lib64`.
fn unpack(file: &Path, target: Target, tree: &Path) -> Result<(), Failure> {
    let triplet = target.triplet;
    // `S`: the targets of links stay as they are.
    let moves = [
        r"s,^\./usr/s\?bin/,./usr/bin/,S".to_owned(),
        r"s,^\./s\?bin/,./usr/bin/,S".to_owned(),
        format!(r"s,^\./\(usr/\)\?lib/{triplet}/,./usr/lib64/,S"),
        r"s,^\./lib64/,./usr/lib64/,S".to_owned(),
        r"s,^\./lib/,./usr/lib/,S".to_owned(),
    ];
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--preserve-permissions", "--directory"]).arg(tree);
    // Debian's link from there to the loader, which itself comes to lie there.
    tar.arg("--exclude=./lib64");
    tar.args(moves.iter().map(|expression| format!("--transform={expression}")));
    let mut unpacking = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(|error| Failure::Failed(format!("dpkg-deb could not be started: {error}")))?;
    let Some(stream) = unpacking.stdout.take() else {
        return Err(Failure::Failed("dpkg-deb has no output".to_owned()));
    };
    let status = tar.stdin(stream).status()?;
    if unpacking.wait()?.success() && status.success() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} could not be unpacked", file.display())))
}

/// Before each recipe's own lines: away with what only Debian has, licences to where Fedora has them, no empty
/// directories left by the move.
const TIDY: &str = r#"
for copyright in usr/share/doc/*/copyright; do
    if test -f "$copyright"; then
        mkdir -p "usr/share/licenses/$name"
        mv "$copyright" "usr/share/licenses/$name/COPYING"
    fi
done
rm -rf usr/share/lintian usr/share/bug usr/share/apport usr/share/menu usr/share/debianutils etc/init.d etc/default
find . -name 'changelog*' -path './usr/share/doc/*' -delete
find usr/share/locale -mindepth 1 -maxdepth 1 ! -name de -exec rm -rf {} + 2> /dev/null || true
find usr/share/man -mindepth 1 -maxdepth 1 ! -name 'man*' -exec rm -rf {} + 2> /dev/null || true
for directory in bin sbin lib lib64 usr etc; do
    test ! -d "$directory" || find "$directory" -depth -type d -empty -delete
done
"#;
