//! Each check on a tree that fails it, and on one that does not.

use calypte_definition::Allowance;
use calypte_formats::elf::{ElfFacts, ElfKind};

use super::*;
use crate::finishers::tests::{Bench, library, program};
use crate::tree::NodeKind;

const TRIPLET: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

fn failures(bench: &mut Bench) -> String {
    let (tree, context) = bench.context();
    run_all(tree, &context).iter().map(|failure| format!("[{}] {failure}\n", failure.check)).collect()
}

fn glibc() -> Bench {
    Bench::new()
        .directory("usr/lib64")
        .link("lib64", "usr/lib64")
        .link("lib", "usr/lib")
        .elf("usr/lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2", &[]))
        .elf(&format!("{TRIPLET}/libc.so.6"), library("libc.so.6", &["ld-linux-x86-64.so.2"]))
        .link(&format!("{TRIPLET}/ld-linux-x86-64.so.2"), "/lib64/ld-linux-x86-64.so.2")
}

#[test]
fn libraries_are_found_where_the_loader_looks() {
    let mut own = program(LOADER, &["libown.so.1", "libc.so.6"]);
    own.runpath = vec!["$ORIGIN/../${LIB}/own".into()];
    let mut plugin = library("plugin.so", &["libown.so.1"]);
    plugin.rpath = vec!["/opt/lib".into()];
    let mut bench = glibc()
        .elf("usr/bin/tool", own)
        .elf("usr/lib/x86_64-linux-gnu/own/libown.so.1", library("libown.so.1", &["libc.so.6"]))
        .elf("opt/lib/libown.so.1", library("libown.so.1", &[]))
        .elf("opt/plugins/plugin.so", plugin)
        .elf("opt/object.o", {
            let mut object = library("x", &["libnone.so"]);
            object.kind = ElfKind::Relocatable;
            object
        });
    insta::assert_snapshot!(failures(&mut bench), @"");
}

#[test]
fn missing_libraries_loaders_and_other_machines() {
    let mut foreign = library("libc.so.6", &[]);
    foreign.machine = 183;
    let mut bench = glibc()
        .elf("usr/bin/tool", program("/lib/ld-musl-x86_64.so.1", &["libssl.so.3"]))
        .elf("usr/lib/foreign.so", foreign);
    insta::assert_snapshot!(failures(&mut bench), @r"
    [libraries] /usr/bin/tool (package p): its loader /lib/ld-musl-x86_64.so.1 is not in the image
      = help: add the package of the C library that it was linked with
    [libraries] /usr/bin/tool (package p): needs libssl.so.3, which is not in the image
      = help: add the package that has libssl.so.3, or drop the file if nothing uses it
    [libraries] /usr/lib/foreign.so (package p): is for another machine (ELF machine 183, the image's is 62)
      = help: build the image for that architecture, or drop the file
    ");
}

#[test]
fn private_libraries_are_found_where_their_program_finds_them() {
    let private = format!("{TRIPLET}/systemd");
    let bench = |program: ElfFacts| {
        glibc()
            .elf("usr/lib/systemd/systemd", program)
            .elf(&format!("{private}/libcore.so"), library("libcore.so", &["libshared.so", "libc.so.6"]))
            .elf(&format!("{private}/libshared.so"), library("libshared.so", &["libc.so.6"]))
            .elf(&format!("{private}/libouter.so"), library("libouter.so", &[]))
    };
    let runpath = |needed: &[&str], directory: &str| {
        let mut program = program(LOADER, needed);
        program.runpath = vec![directory.to_owned()];
        program
    };
    let alias = "/lib/x86_64-linux-gnu/systemd";
    assert_eq!(failures(&mut bench(runpath(&["libcore.so", "libshared.so"], alias))), "");
    let mut inherits = runpath(&["libcore.so"], "$ORIGIN/../x86_64-linux-gnu/systemd");
    std::mem::swap(&mut inherits.runpath, &mut inherits.rpath);
    assert_eq!(failures(&mut bench(inherits)), "");
    let missing = "[libraries] /usr/lib/x86_64-linux-gnu/systemd/libcore.so (package p): needs libshared.so, which is not in the \
                   image\n  = help: add the package that has libshared.so, or drop the file if nothing uses it\n";
    for (program, why) in [
        (runpath(&["libcore.so"], alias), "a run path does not count for what a library needs"),
        (runpath(&["libshared.so"], alias), "it does not load the library"),
        (runpath(&["libc.so.6"], alias), "it loads neither"),
        (program(LOADER, &["libc.so.6"]), "nothing looks there"),
    ] {
        assert_eq!(failures(&mut bench(program)), missing, "{why}");
    }
    // By way of another library, which finds both itself.
    let mut outer = library("libouter.so", &["libcore.so", "libshared.so"]);
    outer.runpath = vec!["$ORIGIN".to_owned()];
    let mut indirect = bench(runpath(&["libouter.so"], alias)).elf(&format!("{private}/libouter.so"), outer);
    assert_eq!(failures(&mut indirect), "");
}

#[test]
fn scripts_need_their_interpreter() {
    let mut bench = glibc()
        .elf_mode("usr/bin/python3", program(LOADER, &[]), 0o755)
        .elf_mode("usr/bin/env", program(LOADER, &[]), 0o755)
        .script("usr/bin/good", "/usr/bin/python3 -E", 0o755)
        .script("usr/bin/found", "/usr/bin/env -S python3 -u", 0o755)
        .script("usr/share/not-run", "/bin/sh", 0o644);
    insta::assert_snapshot!(failures(&mut bench), @"");
    let mut bench = bench
        .script("usr/bin/bad", "/bin/dash -e", 0o755)
        .script("usr/bin/unfound", "/usr/bin/env node", 0o755)
        .script("usr/bin/relative", "python3", 0o755);
    insta::assert_snapshot!(failures(&mut bench), @r"
    [scripts] /usr/bin/bad (package p): its interpreter /bin/dash is not in the image
      = help: drop the script with `fs: [{delete: /usr/bin/bad}]` or the slice `shell-scripts`, or add the package that has its interpreter
    [scripts] /usr/bin/relative (package p): its interpreter `python3` is no absolute path
      = help: drop the script with `fs: [{delete: /usr/bin/relative}]` or the slice `shell-scripts`, or add the package that has its interpreter
    [scripts] /usr/bin/unfound (package p): its interpreter `node`, which env looks for, is not in the image's PATH
      = help: drop the script with `fs: [{delete: /usr/bin/unfound}]` or the slice `shell-scripts`, or add the package that has its interpreter
    ");
    bench.definition.run.environment.insert("PATH".into(), "/opt/bin".into());
    assert!(failures(&mut bench).contains("`python3`, which env looks for"));
}

#[test]
fn links_lead_somewhere() {
    let mut bench = Bench::new()
        .directory("usr/lib")
        .link("lib", "usr/lib")
        .file("usr/lib/real", "")
        .link("usr/lib/good", "../../lib/real")
        .link("etc/mtab", "../proc/self/mounts")
        .link("var/lock", "/run/lock")
        .link("usr/share/doc/x/copyright", "../y/copyright");
    insta::assert_snapshot!(failures(&mut bench), @"");
    let mut bench =
        bench.link("usr/lib/none", "/lib/none.so").link("usr/lib/loop", "loop").link("usr/lib/far", "none");
    insta::assert_snapshot!(failures(&mut bench), @r"
    [links] /usr/lib/far (package p): links to none, and /usr/lib/none.so is not in the image
      = help: add the package that has the target, or drop the link with `fs: [{delete: /usr/lib/far}]`
    [links] /usr/lib/loop (package p): links to loop, which cannot be followed: /usr/lib/loop: too many levels of symbolic links
      = help: add the package that has the target, or drop the link with `fs: [{delete: /usr/lib/loop}]`
    [links] /usr/lib/none (package p): links to /lib/none.so, and /usr/lib/none.so is not in the image
      = help: add the package that has the target, or drop the link with `fs: [{delete: /usr/lib/none}]`
    ");
}

#[test]
fn shells_package_managers_and_setuid_files_need_leave() {
    let mut bench = Bench::new()
        .file_with("usr/bin/dash", "", 0o755)
        .link("usr/bin/sh", "dash")
        .file_with("usr/bin/apt-get", "", 0o755)
        .file_with("usr/bin/su", "", 0o4755)
        .file_with("usr/share/doc/bash", "", 0o755)
        .file_with("usr/bin/zsh", "not executable", 0o644);
    bench.put("var/mail", NodeKind::Directory, 0o2775);
    insta::assert_snapshot!(failures(&mut bench), @r"
    [allowances] /usr/bin/apt-get (package p): a package manager must not be in this image
      = help: leave the package out, drop the file with `fs: [{delete: /usr/bin/apt-get}]` or a slice, or say `allow: [package-manager]`
    [allowances] /usr/bin/dash (package p): a shell must not be in this image
      = help: leave the package out, drop the file with `fs: [{delete: /usr/bin/dash}]` or a slice, or say `allow: [shell]`
    [allowances] /usr/bin/sh (package p): a shell must not be in this image
      = help: leave the package out, drop the file with `fs: [{delete: /usr/bin/sh}]` or a slice, or say `allow: [shell]`
    [allowances] /usr/bin/su (package p): a setuid file must not be in this image
      = help: leave the package out, drop the file with `fs: [{delete: /usr/bin/su}]` or a slice, or say `allow: [setuid]`
    ");
    bench.definition.allow = [Allowance::Shell, Allowance::PackageManager, Allowance::Setuid].into();
    assert_eq!(failures(&mut bench), "");
}

#[test]
fn a_program_that_only_bears_the_name_of_a_shell_is_known_by_its_content() {
    let bench = || {
        let mut bench =
            Bench::new().file_with("usr/bin/entrypoint", "runner", 0o755).link("usr/bin/sh", "entrypoint");
        bench.programs.insert("entrypoint".to_owned(), b"runner".to_vec());
        bench
    };
    assert_eq!(failures(&mut bench()), "");
    let mut copy = bench().file_with("usr/local/bin/sh", "runner", 0o755);
    assert_eq!(failures(&mut copy), "");
    let mut other = bench().file_with("usr/local/bin/sh", "another", 0o755);
    assert!(failures(&mut other).starts_with("[allowances] /usr/local/bin/sh (package p): a shell"));
    let mut replaced = bench().file_with("usr/bin/entrypoint", "another", 0o755);
    assert!(failures(&mut replaced).starts_with("[allowances] /usr/bin/sh (package p): a shell"));
    let mut unnamed = bench();
    unnamed.programs = [("other".to_owned(), b"runner".to_vec())].into();
    assert!(failures(&mut unnamed).starts_with("[allowances] /usr/bin/sh (package p): a shell"));
}

#[test]
fn what_the_user_could_change() {
    let mut bench = Bench::new()
        .file("etc/app/own.conf", "x")
        .file("home/nonroot/.profile", "x")
        .file("data/seed", "x")
        .file("srv/site/index.html", "x")
        .directory("run/app")
        .directory("tmp")
        .directory("var/open");
    for (path, mode, id) in [
        ("etc/app/own.conf", 0o644, 65532),
        ("home/nonroot/.profile", 0o644, 65532),
        ("data/seed", 0o644, 65532),
        ("srv/site", 0o755, 65532),
        ("run/app", 0o755, 65532),
        ("tmp", 0o1777, 0),
        ("var/open", 0o777, 0),
    ] {
        let node = bench.tree.get_mut(&TreePath::new(path).unwrap()).unwrap();
        (*node.mode, *node.uid, *node.gid) = (mode, id, id);
    }
    bench.definition.run.volumes = [TreePath::new("data").unwrap()].into();
    insta::assert_snapshot!(failures(&mut bench));
    // To root nothing is forbidden, and what everybody can write is no less open.
    bench.definition.user.uid = 0;
    insta::assert_snapshot!(failures(&mut bench));
    bench.definition.allow = [Allowance::Root].into();
    assert!(failures(&mut bench).starts_with("[access] /var/open"));
}

#[test]
fn the_fips_provider_must_be_there_active_and_alone() {
    let mut bench = Bench::new();
    bench.definition.require = [calypte_definition::Requirement::Fips].into();
    insta::assert_snapshot!(failures(&mut bench));
    let mut bench = bench
        .file("usr/lib/x86_64-linux-gnu/ossl-modules/fips.so", "module")
        .file("usr/lib/ssl/openssl.cnf", ".include /usr/lib/ssl/fipsmodule.cnf\nfips = fips_sect\n")
        .file("usr/lib/x86_64-linux-gnu/libgcrypt.so.20", "x");
    insta::assert_snapshot!(failures(&mut bench));
    let mut bench = bench.file(
        "usr/lib/ssl/openssl.cnf",
        ".include /usr/lib/ssl/fipsmodule.cnf\nfips = fips_sect\ndefault_properties = fips=yes\n",
    );
    assert_eq!(failures(&mut bench).lines().filter(|line| line.starts_with("[fips]")).count(), 1);
    bench.definition.allow = [Allowance::PackageManager].into();
    assert_eq!(failures(&mut bench), "");
}

#[test]
fn packages_that_nothing_refers_to() {
    use crate::finishers::tests::package;
    let locked = |id: &str, by: &[&str]| calypte_resolve::LockedPackage {
        id: id.into(),
        version: "1".into(),
        architecture: "amd64".into(),
        source: id.into(),
        source_version: "1".into(),
        repository: "r".into(),
        url: format!("pool/{id}.deb"),
        size: 1,
        sha256: calypte_base::Digest::of(id.as_bytes()),
        date: crate::finishers::tests::EPOCH,
        r#in: ["default".to_owned()].into(),
        by: by.iter().map(|name| (*name).to_owned()).collect(),
    };
    let all = [
        locked("tool", &[calypte_resolve::DEFINITION]),
        locked("libused", &["tool"]),
        locked("libunused", &["tool"]),
        locked("libbelow", &["libunused"]),
        locked("data", &["tool"]),
        locked("scripts", &["tool"]),
    ];
    let mut bench = glibc()
        .elf_mode("usr/bin/tool", program(LOADER, &["libused.so.1", "libc.so.6"]), 0o755)
        .elf(&format!("{TRIPLET}/libused.so.1"), library("libused.so.1", &["libc.so.6"]))
        .elf(&format!("{TRIPLET}/libunused.so.1"), library("libunused.so.1", &["libbelow.so.1"]))
        .elf(&format!("{TRIPLET}/libbelow.so.1"), library("libbelow.so.1", &[]))
        .file("usr/share/data/table", "x")
        .elf_mode("usr/sbin/only-scripts-use-it", program(LOADER, &["libc.so.6"]), 0o755);
    for (path, package) in [
        ("usr/bin/tool", "tool"),
        ("usr/lib/x86_64-linux-gnu/libused.so.1", "libused"),
        ("usr/lib/x86_64-linux-gnu/libunused.so.1", "libunused"),
        ("usr/lib/x86_64-linux-gnu/libbelow.so.1", "libbelow"),
        ("usr/share/data/table", "data"),
        ("usr/sbin/only-scripts-use-it", "scripts"),
    ] {
        let path = TreePath::new(path).unwrap();
        let node = crate::tree::Node {
            owner: Owner::Package(package.into()),
            ..bench.tree.get(&path).unwrap().clone()
        };
        bench.tree.insert(path, node).unwrap();
    }
    bench.packages.extend(all.iter().map(|locked| package(&locked.id, &[])));
    let locked: Vec<_> = all.iter().collect();
    let closure = |bench: &mut Bench| {
        let (tree, context) = bench.context();
        let context = FinishContext { locked: &locked, ..context };
        run_all(tree, &context)
            .iter()
            .map(|failure| format!("[{}] {failure}\n", failure.check))
            .collect::<String>()
    };
    insta::assert_snapshot!(closure(&mut bench));
    // What is kept is there for something, and so is what it needs.
    bench.definition.keep =
        [(calypte_base::PackageFormat::Deb, [("libunused".to_owned(), "loaded by name".to_owned())].into())]
            .into();
    assert_eq!(closure(&mut bench).lines().filter(|line| line.starts_with("[closure]")).count(), 1);
    bench.definition.allow = [Allowance::PackageManager].into();
    assert_eq!(closure(&mut bench), "");
}
