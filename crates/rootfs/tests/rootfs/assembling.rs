//! The stage as a whole, on packages made by code.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Digest, Epoch, PackageFormat, TreePath};
use calypte_definition::{Catalog, ImageDefinition, yaml};
use calypte_formats::tar::{Entry, EntryKind};
use calypte_resolve::LockedPackage;
use calypte_rootfs::{AssembleError, Assembly, Node, Rootfs, assemble};
use calypte_store::Store;
use calypte_universe::Rules;
use calypte_universe::rules::{Slice, Slices};

use crate::deb::{CONTROL, Compression, Deb, compress};

const EPOCH: Epoch = Epoch(1_700_000_000);

/// A store with packages, and a definition of an image of them.
struct Bench {
    store: Store,
    packages: Vec<LockedPackage>,
    definition: ImageDefinition,
    rules: Rules,
    epoch: Epoch,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let text = format!(
            "image: sample\ntitle: Sample\ndescription: A sample of an image.\ncategory: tool\n\
             packages:\n  deb: [one, two]\nrun:\n  entrypoint: [/usr/bin/one]\ntags: [latest]\n{more}"
        );
        let catalog = Catalog::load([("catalog/images/sample.yaml".to_owned(), text)])
            .unwrap_or_else(|errors| panic!("{}", errors[0]));
        let definition = catalog.image(&catalog.parse_id("sample").unwrap()).unwrap().clone();
        let slice = Slice {
            drop: vec!["usr/share/doc/**".to_owned()],
            title: String::new(),
            keep: Vec::new(),
            marked: Default::default(),
        };
        let slices = Slices(BTreeMap::from([("docs".to_owned(), slice)]));
        let rules = Rules { slices, ..Rules::default() };
        Self { store, packages: Vec::new(), definition, rules, epoch: EPOCH, _directory: directory }
    }

    fn package(mut self, name: &str, deb: Deb) -> Self {
        let bytes = deb.control("control", CONTROL.replace("sample", name)).build();
        self.packages.push(LockedPackage {
            id: name.to_owned(),
            version: "1.0-1".to_owned(),
            architecture: "amd64".to_owned(),
            source: name.to_owned(),
            source_version: "1.0-1".to_owned(),
            repository: "main".to_owned(),
            url: format!("pool/main/{name}_1.0-1_amd64.deb"),
            size: bytes.len() as u64,
            sha256: self.store.put(&bytes).unwrap(),
            date: Epoch(0),
            r#in: BTreeSet::new(),
            by: [calypte_resolve::DEFINITION.to_owned()].into(),
        });
        self
    }

    fn assemble(&self) -> Result<Rootfs, AssembleError> {
        let packages: Vec<&LockedPackage> = self.packages.iter().collect();
        let assembly = Assembly {
            definition: &self.definition,
            packages: &packages,
            programs: &BTreeMap::new(),
            rules: &self.rules,
            repositories: &[],
            architecture: Architecture::Amd64,
            format: PackageFormat::Deb,
            epoch: self.epoch,
        };
        assemble(&assembly, &self.store)
    }

    fn refused(&self) -> String {
        self.assemble().expect_err("this must not assemble").to_string()
    }
}

/// Two packages that share a directory, with a script of the image's own interpreter.
fn sound(more: &str) -> Bench {
    let one = Deb::new()
        .directory("./usr/")
        .file("./usr/bin/one", b"#!/usr/bin/two\n")
        .file("./etc/one.conf", b"level 1\n")
        .file("./usr/share/doc/one/copyright", b"licence")
        .file("./usr/share/doc/one/changelog.gz", b"changes")
        .compressed(Compression::Xz);
    let two = Deb::new()
        .directory("./usr/")
        .file("./usr/bin/two", b"binary")
        .hard_link("./usr/bin/2", "./usr/bin/two");
    Bench::new(more).package("two", two).package("one", one)
}

fn paths(rootfs: &Rootfs, below: &str) -> Vec<String> {
    let below = TreePath::new(below).unwrap();
    rootfs.tree.below(&below).map(|(path, node)| format!("{path} {}", node.owner)).collect()
}

fn text(rootfs: &Rootfs, path: &str) -> String {
    let content = rootfs.tree.file(&TreePath::new(path).unwrap()).unwrap();
    String::from_utf8(rootfs.contents.read(&content.digest).unwrap()).unwrap()
}

/// Everything that a tree says.
fn fingerprint(rootfs: &Rootfs) -> Digest {
    let nodes: String = rootfs.tree.iter().map(|(path, node)| format!("{path} {node:?}\n")).collect();
    Digest::of(nodes.as_bytes())
}

#[test]
fn packages_slices_verbs_and_records_come_together() {
    let bench = sound(
        "slices: {drop: [docs]}\nfs:\n  - edit: /etc/one.conf\n    replace: {from: level 1, to: level 2}\n    expect: 1\n  \
         - dir: /var/lib/one\n    owner: user\n",
    );
    let rootfs = bench.assemble().unwrap();
    assert_eq!(
        paths(&rootfs, "usr/share/doc"),
        ["/usr/share/doc/one package one", "/usr/share/doc/one/copyright package one"]
    );
    assert_eq!((rootfs.dropped["docs"].entries, rootfs.dropped["docs"].size), (1, 7));
    assert_eq!(text(&rootfs, "etc/one.conf"), "level 2\n");
    assert_eq!(rootfs.tree.get(&TreePath::new("var/lib/one").unwrap()).unwrap().uid, 65532);
    let records = paths(&rootfs, "var/lib/dpkg/status.d");
    assert_eq!(
        records,
        [
            "/var/lib/dpkg/status.d/one finisher records, for package one",
            "/var/lib/dpkg/status.d/two finisher records, for package two"
        ]
    );
    assert!(
        text(&rootfs, "var/lib/dpkg/status.d/one")
            .starts_with("Package: one\nStatus: install ok installed\n")
    );
    assert!(
        rootfs
            .generated()
            .any(|(path, owner)| path.as_str() == "bin" && owner.to_string() == "finisher usrmerge")
    );
    let names: Vec<&str> = rootfs.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn neither_threads_nor_order_nor_a_second_time_show() {
    let mut bench = sound("slices: {drop: [docs]}\n");
    let first = fingerprint(&bench.assemble().unwrap());
    assert_eq!(fingerprint(&bench.assemble().unwrap()), first, "from the packs");
    bench.packages.reverse();
    for threads in [1, 4] {
        let other = sound("slices: {drop: [docs]}\n");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(
            pool.install(|| fingerprint(&other.assemble().unwrap())),
            first,
            "{threads} threads, another store"
        );
        assert_eq!(pool.install(|| fingerprint(&bench.assemble().unwrap())), first);
    }
}

#[test]
fn an_image_with_a_package_manager_has_the_database() {
    let rootfs = sound("allow: [package-manager]\nslices: {drop: [docs]}\n").assemble().unwrap();
    assert!(text(&rootfs, "var/lib/dpkg/status").contains("Package: two\n"));
    assert!(text(&rootfs, "var/lib/dpkg/info/one.list").ends_with("\n/usr/share/doc/one/copyright\n"));
    assert!(text(&rootfs, "etc/dpkg/dpkg.cfg.d/calypte").contains("path-exclude=/usr/share/doc/*\n"));
    assert!(rootfs.tree.get(&TreePath::new("var/lib/dpkg/status.d").unwrap()).is_none());
}

#[test]
fn each_error_names_the_image_and_what_is_wrong() {
    let mut bench = sound("");
    bench.packages[0].sha256 = Digest::of(b"not fetched");
    insta::assert_snapshot!(bench.refused(), @"sample: package file two_1.0-1_amd64.deb (sha256:1fd90dadbedaed9a99701f231cec375016100f91fabe77c13611d511c4f8026d) is not in the store");
    assert!(bench.assemble().unwrap_err().hint().unwrap().contains("calypte lock"));

    let mut bench = sound("");
    bench.packages[1].version = "2.0-1".to_owned();
    insta::assert_snapshot!(bench.refused(), @"sample: package file one_1.0-1_amd64.deb: the version is `1.0-1`, but the lock says `2.0-1`");

    let mut bench = sound("");
    bench.definition.slices.insert("dosc".to_owned());
    insta::assert_snapshot!(bench.refused(), @"sample: there is no slice `dosc` in this universe (there are: docs)");

    let clash = sound("").package("three", Deb::new().file("./etc/one.conf", b"other\n"));
    insta::assert_snapshot!(clash.refused(), @"sample: /etc/one.conf: packages one and three have different contents there, and neither declares that it replaces the other");

    let verb = sound("fs:\n  - delete: /etc/none\n");
    insta::assert_snapshot!(verb.refused(), @"sample: fs: delete etc/none: expected at least one path but found 0");

    let broken = sound("").package(
        "three",
        Deb::new().file("./usr/bin/three", b"#!/usr/bin/missing\n").symlink("./usr/bin/four", "none"),
    );
    insta::assert_snapshot!(broken.refused(), @r"
    sample: 1 check failed:
    /usr/bin/four (package three): links to none, and /usr/bin/none is not in the image
      = help: add the package that has the target, or drop the link with `fs: [{delete: /usr/bin/four}]`
    ");
}

/// A package with something for each finisher that makes files of one package's data.
fn busy(name: &str, time: i64) -> Deb {
    let file = |path: String, text: &str| (path, text.to_owned());
    let files = [
        file(format!("./etc/{name}.conf"), "configuration"),
        file(format!("./usr/bin/{name}"), name),
        file(format!("./usr/lib/systemd/system/{name}.service"), "[Install]\nWantedBy=multi-user.target\n"),
        file(
            format!("./usr/lib/tmpfiles.d/{name}.conf"),
            &format!("f /var/lib/{name}/state - - - - text\nC /etc/{name}.d/copy - - - - /usr/bin/{name}\n"),
        ),
        file(format!("./usr/share/{name}/default"), "default"),
    ];
    let mut deb = Deb::new()
        .control("md5sums", format!("{:032}  usr/bin/{name}\n", 0))
        .control("conffiles", format!("/etc/{name}.conf\n"));
    for (path, text) in files {
        let mode = if path.contains("/bin/") { 0o755 } else { 0o644 };
        let size = text.len() as u64;
        deb = deb
            .entry(&Entry { size, mode, mtime: time, ..Entry::new(path, EntryKind::File) }, text.as_bytes());
    }
    deb.hard_link(&format!("./usr/bin/{name}-again"), &format!("./usr/bin/{name}"))
}

/// The same for the tables of a universe.
fn busy_rules(names: &[&str]) -> Rules {
    let of = |form: &str| names.iter().map(|name| form.replace("NAME", name)).collect::<String>();
    let effects = of(
        "- package: NAME\n  effects:\n    - {file: /etc/NAME.made, mode: \"0600\", content: made}\n    \
         - {copy: /usr/share/NAME/default, to: /etc/NAME.default}\n    - {link: /etc/NAME.link, target: NAME.made}\n",
    );
    let alternatives = of(
        "- package: NAME\n  link: /usr/bin/NAME-any\n  name: NAME-any\n  path: /usr/bin/NAME\n  priority: 1\n",
    );
    let accounts =
        "users: [{name: root, uid: 0, group: root, home: /root}]\ngroups: [{name: root, gid: 0}]\n";
    Rules {
        accounts: yaml::from_str("accounts.yaml", accounts).unwrap(),
        effects: yaml::from_str("effects.yaml", &effects).unwrap(),
        alternatives: yaml::from_str("alternatives.yaml", &alternatives).unwrap(),
        ..Rules::default()
    }
}

#[test]
fn what_is_of_a_package_depends_on_no_other_and_not_on_the_build_s_date() {
    for more in ["", "allow: [package-manager]\n"] {
        let assembled = |names: &[&str], epoch: i64| {
            let mut bench = Bench::new(more);
            for (number, name) in names.iter().enumerate() {
                let time = if *name == "two" { 2_000 } else { 1_000 + number as i64 };
                let mut deb = busy(name, time);
                if *name == "two" {
                    deb = deb.file("./usr/lib/systemd/systemd", b"");
                }
                bench = bench.package(name, deb);
            }
            (bench.rules, bench.epoch) = (busy_rules(&["extra", "one", "two"]), Epoch(epoch));
            bench.assemble().unwrap()
        };
        let of_packages = |rootfs: &Rootfs| -> BTreeMap<TreePath, Node> {
            let nodes = rootfs.tree.iter().filter(|(_, node)| !node.is_directory());
            let own = nodes.filter(|(_, node)| matches!(node.owner.package(), Some("one" | "two")));
            own.map(|(path, node)| (path.clone(), node.clone())).collect()
        };
        let without = assembled(&["one", "two"], EPOCH.0);
        let with = assembled(&["one", "two", "extra"], EPOCH.0 + 77);
        let found = of_packages(&without);
        assert_eq!(found, of_packages(&with), "{more}");
        assert!(found.values().all(|node| node.mtime <= 2_000), "no time is the build's");
        let made: Vec<String> = found
            .iter()
            .filter(|(path, node)| {
                path.as_str().contains("one") && node.owner.to_string().starts_with("finisher")
            })
            .map(|(path, node)| format!("{path} {} {}", node.owner, node.mtime))
            .collect();
        insta::with_settings!({snapshot_suffix => if more.is_empty() { "small" } else { "with_dpkg" }}, {
            insta::assert_snapshot!("made_for_one_package", made.join("\n"));
        });
        let image: Vec<&str> = without
            .tree
            .iter()
            .filter(|(_, node)| !node.is_directory() && node.owner.package().is_none())
            .map(|(path, _)| path.as_str())
            .collect();
        insta::with_settings!({snapshot_suffix => if more.is_empty() { "small" } else { "with_dpkg" }}, {
            insta::assert_snapshot!("made_for_the_image", image.join("\n"));
        });
    }
}

#[test]
fn records_name_kernel_modules_as_they_lie_there() {
    let module = compress(&Compression::Xz, b"module").0;
    let sums = format!("{0:032}  lib/modules/6.1/a.ko.xz\n{0:032}  usr/share/x\n", 0);
    let kernel = Deb::new()
        .control("md5sums", sums)
        .file("./lib/modules/6.1/a.ko.xz", &module)
        .file("./usr/share/x", b"x");
    let bench = Bench::new("allow: [package-manager]\n").package("linux-image", kernel);
    let rootfs = bench.assemble().unwrap();
    assert!(text(&rootfs, "var/lib/dpkg/info/linux-image.list").contains("\n/usr/lib/modules/6.1/a.ko\n"));
    assert_eq!(
        text(&rootfs, "var/lib/dpkg/info/linux-image.md5sums"),
        format!("{:032}  usr/share/x\n", 0),
        "the checksum of the compressed module is that of nothing in the image"
    );
}
