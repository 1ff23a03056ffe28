//! Small hand-made trees for the tests of finishers and checks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use calypte_base::{Architecture, Digest, Epoch, PackageFormat, TreePath};
use calypte_definition::ImageDefinition;
use calypte_definition::image::{Category, ImageId, RunConfig, User};
use calypte_definition::yaml;
use calypte_formats::elf::{ElfClass, ElfFacts, ElfKind};
use calypte_store::Contents;
use calypte_universe::{DebLayout, Layout, RepositoryDefinition, Rules};

use super::{Apply, FinishError};
use crate::context::FinishContext;
use crate::package::{DebDescription, Description, FileFacts, UnpackedEntry, UnpackedPackage};
use crate::tree::{Content, FileTree, Node, NodeKind, Owner};
use crate::verbs::Programs;

/// The time of everything in a test's tree.
pub(crate) const EPOCH: Epoch = Epoch(1_800_000_000);

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A package of this name with nothing but these entries.
pub(crate) fn package(name: &str, entries: &[UnpackedEntry]) -> UnpackedPackage {
    UnpackedPackage {
        name: name.into(),
        version: "1".into(),
        architecture: "amd64".into(),
        source: name.into(),
        source_version: "1".into(),
        digest: Digest::of(name.as_bytes()),
        description: Description::Deb(DebDescription::default()),
        scripts: BTreeMap::new(),
        conffiles: Vec::new(),
        accounts: Vec::new(),
        entries: entries.to_vec(),
        date: EPOCH,
        changes: 0,
    }
}

/// An image `web` of user `nonroot`, variant `default`.
pub(crate) fn definition() -> ImageDefinition {
    ImageDefinition {
        id: ImageId { family: "web".into(), stream: None, variant: "default".into() },
        title: "Web".into(),
        description: String::new(),
        category: Category::Web,
        url: None,
        licenses: None,
        parent: None,
        universes: None,
        packages: BTreeMap::new(),
        prefer: BTreeMap::new(),
        slices: BTreeSet::new(),
        fs: Vec::new(),
        run: RunConfig::default(),
        user: User { name: "nonroot".into(), uid: 65532, gid: 65532, home: path("home/nonroot") },
        tests: Vec::new(),
        tags: Vec::new(),
        version_of: BTreeMap::new(),
        end_of_life: None,
        allow: BTreeSet::new(),
        compatibility: None,
        example: None,
        require: BTreeSet::new(),
        keep: BTreeMap::new(),
        host: None,
    }
}

/// The headers of a library for amd64.
pub(crate) fn library(soname: &str, needed: &[&str]) -> ElfFacts {
    ElfFacts {
        class: ElfClass::Elf64,
        little_endian: true,
        machine: 62,
        kind: ElfKind::SharedObject,
        interpreter: None,
        dynamic: true,
        soname: Some(soname.into()),
        needed: needed.iter().map(|name| (*name).to_owned()).collect(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        no_default_libraries: false,
    }
}

/// The headers of a program for amd64.
pub(crate) fn program(interpreter: &str, needed: &[&str]) -> ElfFacts {
    ElfFacts { interpreter: Some(interpreter.into()), soname: None, ..library("", needed) }
}

/// The universe's real tables.
pub(crate) fn rules() -> Rules {
    let accounts = include_str!("../../../../catalog/universes/debian/accounts.yaml");
    let alternatives = include_str!("../../../../catalog/universes/debian/alternatives.yaml");
    let effects = include_str!("../../../../catalog/universes/debian/effects.yaml");
    Rules {
        accounts: yaml::from_str("accounts.yaml", accounts).unwrap(),
        alternatives: yaml::from_str("alternatives.yaml", alternatives).unwrap(),
        effects: yaml::from_str("effects.yaml", effects).unwrap(),
        ..Rules::default()
    }
}

/// A Debian repository.
fn repository() -> RepositoryDefinition {
    RepositoryDefinition {
        name: "sid".into(),
        mirror: "debian".into(),
        fallback: "http://mirror.example/debian".into(),
        keys: BTreeSet::new(),
        layout: Layout::Deb(DebLayout {
            suite: "unstable".into(),
            codename: "sid".into(),
            components: ["main".into(), "contrib".into()].into(),
        }),
        local: None,
    }
}

/// A tree with its contents, packages and definition.
#[derive(Debug)]
pub(crate) struct Bench {
    pub tree: FileTree,
    pub contents: Contents,
    pub packages: Vec<UnpackedPackage>,
    pub definition: ImageDefinition,
    pub programs: Programs,
    pub rules: Rules,
    pub repositories: Vec<RepositoryDefinition>,
    pub architecture: Architecture,
}

impl Bench {
    /// An empty tree.
    pub fn new() -> Self {
        Self {
            tree: FileTree::new(Node::directory(EPOCH.0, owner())),
            contents: Contents::new(),
            packages: Vec::new(),
            definition: definition(),
            programs: Programs::new(),
            rules: rules(),
            repositories: vec![repository()],
            architecture: Architecture::Amd64,
        }
    }

    /// With packages of these names, that have no files.
    pub fn packages(mut self, names: &[&str]) -> Self {
        self.packages.extend(names.iter().map(|name| package(name, &[])));
        self
    }

    /// With a file of the package `p`, mode 0644.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with(name, content, 0o644)
    }

    /// With a file of this mode.
    pub fn file_with(mut self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let (digest, size) = self.contents.add(content.as_ref().to_vec());
        self.put(name, NodeKind::File(Content { digest, size }), mode);
        self
    }

    /// With an ELF file that has these headers.
    pub fn elf(self, name: &str, facts: ElfFacts) -> Self {
        self.elf_mode(name, facts, 0o644)
    }

    /// As [`Bench::elf`], with a mode.
    pub fn elf_mode(mut self, name: &str, facts: ElfFacts, mode: u32) -> Self {
        let bytes = format!("{name} {facts:?}").into_bytes();
        self.add_with_facts(name, bytes, Some(FileFacts::Elf(facts)), mode);
        self
    }

    /// With a file whose headers are read from its bytes.
    pub fn elf_file(mut self, name: &str, bytes: Vec<u8>, read: fn(&[u8]) -> Option<ElfFacts>) -> Self {
        let facts = read(&bytes).map(FileFacts::Elf);
        self.add_with_facts(name, bytes, facts, 0o755);
        self
    }

    /// With a script of this interpreter.
    pub fn script(mut self, name: &str, line: &str, mode: u32) -> Self {
        let bytes = format!("#!{line}\n{name}").into_bytes();
        self.add_with_facts(name, bytes, Some(FileFacts::Script(line.into())), mode);
        self
    }

    fn add_with_facts(&mut self, name: &str, bytes: Vec<u8>, facts: Option<FileFacts>, mode: u32) {
        let (digest, size) = self.contents.add(bytes);
        self.put(name, NodeKind::File(Content { digest, size }), mode);
        let node = self.tree.get(&path(name)).unwrap().clone();
        let entry = UnpackedEntry { facts, ..UnpackedEntry::new(path(name), node) };
        self.packages.push(package("p", &[entry]));
    }

    /// With a directory, mode 0755.
    pub fn directory(mut self, name: &str) -> Self {
        self.put(name, NodeKind::Directory, 0o755);
        self
    }

    /// With a symlink.
    pub fn link(mut self, name: &str, target: &str) -> Self {
        self.put(name, NodeKind::Symlink(target.into()), 0o777);
        self
    }

    pub fn put(&mut self, name: &str, kind: NodeKind, mode: u32) {
        self.tree.create_parents(&path(name), EPOCH.0, &owner()).unwrap();
        self.tree.insert(path(name), Node { kind, mode, ..Node::directory(EPOCH.0, owner()) }).unwrap();
    }

    pub fn context(&mut self) -> (&mut FileTree, FinishContext<'_>) {
        let context = FinishContext {
            architecture: self.architecture,
            format: PackageFormat::Deb,
            definition: &self.definition,
            programs: &self.programs,
            rules: &self.rules,
            repositories: &self.repositories,
            packages: &self.packages,
            locked: &[],
            contents: &mut self.contents,
            epoch: EPOCH,
        };
        (&mut self.tree, context)
    }

    /// Runs one finisher.
    pub fn run(&mut self, apply: Apply) -> Result<(), FinishError> {
        let (tree, mut context) = self.context();
        apply(tree, &mut context)
    }

    /// The text of a file that must be there, links followed.
    pub fn text(&self, name: &str) -> String {
        let content = self.tree.file(&path(name)).unwrap_or_else(|| panic!("no file {name}"));
        String::from_utf8(self.contents.read(&content.digest).unwrap()).unwrap()
    }

    /// Who put what is at a path, no link followed.
    pub fn owner(&self, name: &str) -> String {
        let node = self.tree.get(&path(name)).unwrap_or_else(|| panic!("nothing at {name}"));
        node.owner.to_string()
    }

    /// Gives a path to another package.
    pub fn given_to(mut self, name: &str, package: &str) -> Self {
        *self.tree.get_mut(&path(name)).unwrap().owner = Owner::Package(package.into());
        self
    }

    /// All that finishers made, one line each: path, mode, owner, and where a link leads.
    pub fn made(&self) -> String {
        let mut lines = String::new();
        for (path, node) in self.tree.iter().filter(|(_, node)| matches!(node.owner, Owner::Finisher { .. }))
        {
            let kind = match &node.kind {
                NodeKind::Directory => "/".to_owned(),
                NodeKind::Symlink(target) => format!(" -> {target}"),
                _ => String::new(),
            };
            let Node { mode, uid, gid, .. } = node;
            lines.push_str(&format!("{mode:04o} {uid}:{gid} {path}{kind}\n"));
        }
        lines
    }
}

fn owner() -> Owner {
    Owner::Package("p".into())
}

/// The tree on a disk, so that a real tool can be run on it: directories, files and links; owners are left out.
pub(crate) fn write_out(bench: &Bench, directory: &Path) {
    for (path, node) in bench.tree.iter() {
        let target = directory.join(path.as_str());
        match &node.kind {
            NodeKind::Directory => fs_err::create_dir_all(&target).unwrap(),
            NodeKind::File(content) => {
                fs_err::write(&target, bench.contents.read(&content.digest).unwrap()).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(node.mode);
                fs_err::set_permissions(&target, mode).unwrap();
            }
            NodeKind::Symlink(to) => fs_err::os::unix::fs::symlink(to, &target).unwrap(),
            NodeKind::HardLink(to) => fs_err::hard_link(directory.join(to.as_str()), &target).unwrap(),
            NodeKind::CharDevice(..) | NodeKind::Fifo => {}
        }
    }
}

/// Runs a tool and gives what it printed; says so and gives none when it is not installed or cannot do it here.
pub(crate) fn tool(command: &mut Command) -> Option<String> {
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            drop(writeln!(
                std::io::stderr(),
                "skipped: {name} does not work here: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ));
            None
        }
        Err(error) => {
            drop(writeln!(std::io::stderr(), "skipped: {name} cannot be run: {error}"));
            None
        }
    }
}

/// Every path below a directory with its content, or where it links to.
pub(crate) fn read_back(directory: &Path, below: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = vec![directory.join(below)];
    while let Some(path) = rest.pop() {
        let metadata = fs_err::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(directory).unwrap().display().to_string();
        if metadata.is_symlink() {
            found.insert(name, format!("-> {}", fs_err::read_link(&path).unwrap().display()));
        } else if metadata.is_dir() {
            rest.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.insert(name, String::from_utf8_lossy(&fs_err::read(&path).unwrap()).into_owned());
        }
    }
    found
}

#[test]
fn names_are_unique_and_nodes_bear_them() {
    let names = super::names();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let mut bench =
        Bench::new().packages(&["tzdata"]).file("usr/share/zoneinfo/Etc/UTC", "").directory("etc");
    bench.run(super::defaults::apply).unwrap();
    let node = bench.tree.get(&path("etc/localtime")).unwrap();
    assert_eq!(node.owner, Owner::Finisher { name: "defaults".into(), package: Some("tzdata".into()) });
    assert_eq!(node.mtime, EPOCH.0);
}

#[test]
fn all_run_on_a_tree_with_nothing_for_them() {
    let mut bench = Bench::new();
    let (tree, mut context) = bench.context();
    super::run_all(tree, &mut context).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/
    0644 0:0 /etc/group
    0644 0:0 /etc/passwd
    0755 0:0 /home/
    0700 65532:65532 /home/nonroot/
    ");
}

/// The tables of Fedora.
fn fedora() -> Rules {
    let directory = "fedora";
    let tables = [
        ("accounts.yaml", include_str!("../../../../catalog/universes/fedora/accounts.yaml")),
        ("alternatives.yaml", include_str!("../../../../catalog/universes/fedora/alternatives.yaml")),
        ("assumed.yaml", include_str!("../../../../catalog/universes/fedora/assumed.yaml")),
        ("effects.yaml", include_str!("../../../../catalog/universes/fedora/effects.yaml")),
        ("scripts.yaml", include_str!("../../../../catalog/universes/fedora/scripts.yaml")),
        ("slices.yaml", include_str!("../../../../catalog/universes/fedora/slices.yaml")),
    ];
    let files = tables.map(|(name, text)| (format!("{directory}/{name}"), text.to_owned()));
    Rules::load(directory, &files.into()).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

#[test]
fn the_scriptlets_of_fedora_are_covered_by_finishers_that_exist() {
    let rules = fedora();
    assert_eq!(crate::scripts::unknown_finishers(&rules.scripts), Vec::<String>::new());
    let mut library = package("libx", &[]);
    library.scripts.insert("post".into(), crate::Script::Text("#!/sbin/ldconfig\n".into()));
    let covered = crate::scripts::classify(&rules.scripts, &library).unwrap();
    assert_eq!(covered, BTreeSet::from(["ld-so-cache".to_owned()]));
}

#[test]
fn a_tree_of_fedoras_shape_is_finished_and_passes_all_checks() {
    let mut bench = Bench::new()
        .packages(&["glibc", "tzdata", "systemd"])
        .directory("usr/bin")
        .link("usr/sbin", "bin")
        .link("bin", "usr/bin")
        .link("sbin", "usr/sbin")
        .link("lib", "usr/lib")
        .link("lib64", "usr/lib64")
        .directory("usr/lib")
        .link("var/run", "../run")
        .file("etc/passwd", "root:x:0:0:Super User:/root:/bin/bash\n")
        .file("etc/group", "root:x:0:\n")
        .file("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n")
        .file("usr/share/zoneinfo/UTC", "")
        .file("usr/share/pki/ca-trust-source/README", "nothing to trust")
        .file("usr/share/crypto-policies/DEFAULT/openssl.txt", "")
        .link("etc/ssl/certs", "../pki/tls/certs")
        .directory("etc/pki/tls/certs")
        .link("usr/lib/.build-id/01/23", "../../../../usr/bin/gone")
        .elf_mode("usr/lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2", &[]), 0o755)
        .elf_mode("usr/lib64/libc.so.6", library("libc.so.6", &["ld-linux-x86-64.so.2"]), 0o755)
        .elf_mode("usr/bin/nginx", program("/lib64/ld-linux-x86-64.so.2", &["libc.so.6"]), 0o755);
    bench.rules = fedora();
    let (tree, mut context) = bench.context();
    super::run_all(tree, &mut context).unwrap();
    assert_eq!(crate::check::run_all(tree, &context), []);
    assert!(bench.made().contains("/etc/localtime -> ../usr/share/zoneinfo/UTC"), "{}", bench.made());
    assert!(bench.tree.file(&path("sbin/nginx")).is_some());
}
