//! Merging on small packages made by hand: shared directories, conflicts, and that no order shows in the tree.

use proptest::prelude::*;

use super::*;
use crate::fixture::{Fixture, content, path};

const EPOCH: Epoch = Epoch(1000);

fn merged(packages: &[Fixture]) -> Result<FileTree, MergeError> {
    let packages: Vec<UnpackedPackage> = packages.iter().map(|fixture| fixture.0.clone()).collect();
    merge(&packages, EPOCH)
}

fn refused(packages: &[Fixture]) -> String {
    merged(packages).unwrap_err().to_string()
}

fn owner(tree: &FileTree, text: &str) -> String {
    tree.get(&path(text)).unwrap().owner.to_string()
}

#[test]
fn the_union_of_two_packages_with_what_lies_above() {
    let one = Fixture::new("one").directory("usr").file("usr/share/one/data", "1");
    let two = Fixture::new("two").directory("").directory("usr").link("usr/two", "share/one/data");
    let tree = merged(&[two, one]).unwrap();
    let listed: Vec<String> =
        tree.iter().map(|(path, node)| format!("{path} {} {}", node.kind.noun(), node.owner)).collect();
    assert_eq!(
        listed,
        [
            "/ a directory package two",
            "/usr a directory package one",
            "/usr/share a directory package one",
            "/usr/share/one a directory package one",
            "/usr/share/one/data a file package one",
            "/usr/two a symbolic link package two",
        ]
    );
    assert_eq!(tree.get(&path("usr/share")).unwrap().mtime, EPOCH.0);
}

#[test]
fn the_top_level_directories_are_links() {
    let tree = merged(&[Fixture::new("a").file("usr/lib64/ld.so", "x").file("usr/bin/a", "a")]).unwrap();
    assert_eq!(tree.get(&path("lib64")).unwrap().kind, NodeKind::Symlink("usr/lib64".to_owned()));
    assert_eq!(owner(&tree, "lib64"), "finisher usrmerge");
    assert!(tree.get(&path("lib")).is_none(), "there is no /usr/lib");
    let brought = Fixture::new("base-files").directory("usr/bin").link("bin", "usr/bin");
    assert_eq!(owner(&merged(&[brought]).unwrap(), "bin"), "package base-files");
}

#[test]
fn a_private_directory_stays_private_whoever_comes_first() {
    let private = |node: &mut Node| (node.mode, node.gid, node.mtime) = (0o750, 4, 7);
    for names in [["a", "b"], ["b", "a"]] {
        let plain = Fixture::new(names[0]).directory("var/log/x");
        let special = Fixture::new(names[1]).node("var/log/x", private);
        let tree = merged(&[plain, special]).unwrap();
        let node = tree.get(&path("var/log/x")).unwrap();
        assert_eq!((node.mode, node.gid, node.mtime), (0o750, 4, 7));
        assert_eq!(node.owner, Owner::Package(names[1].to_owned()));
    }
}

#[test]
fn the_same_file_in_two_packages_is_one() {
    let one = Fixture::new("one").file("usr/share/same", "same");
    let two = Fixture::new("two").file("usr/share/same", "same");
    assert_eq!(owner(&merged(&[two, one]).unwrap(), "usr/share/same"), "package one");
}

#[test]
fn disagreements_name_path_and_packages() {
    let file = |name: &str| Fixture::new(name).file("etc/x", name);
    assert_eq!(
        refused(&[file("two"), file("one")]),
        "/etc/x: packages one and two have different contents there, and neither declares that it replaces the other"
    );
    let link = Fixture::new("two").link("etc/x", "y");
    assert_eq!(
        refused(&[file("one"), link]),
        "/etc/x: packages one and two have different kinds of file there"
    );
    let directory = Fixture::new("two").directory("etc/x");
    assert_eq!(
        refused(&[directory, file("one")]),
        "/etc/x: packages one and two have different kinds of file there"
    );
    let same = |name: &str, mode| {
        Fixture::new(name).node("etc/x", |node| (node.kind, node.mode) = (NodeKind::File(content("x")), mode))
    };
    assert_eq!(
        refused(&[same("one", 0o644), same("two", 0o600)]),
        "/etc/x: packages one and two give the same file different modes, owners or attributes"
    );
    assert_eq!(
        refused(&[file("one"), file("one")]),
        "package one is there twice, in versions 1.0-1 and 1.0-1"
    );
}

#[test]
fn the_first_error_by_path_is_the_one_reported() {
    let with = |name: &str| Fixture::new(name).file("b", name).file("a", name).file("c", name);
    assert!(refused(&[with("two"), with("three"), with("one")]).starts_with("/a: packages one and three "));
}

#[test]
fn replaces_decides_when_one_package_says_it() {
    let old = || Fixture::new("old").file("etc/x", "old").field("Provides", "virtual, other (= 3)");
    let new = |replaces: &str| Fixture::new("new").file("etc/x", "new").field("Replaces", replaces);
    for replaces in
        ["old", "old (<< 2)", "unrelated, old (<= 1.0-1)", "virtual", "old:any", "a,\n old (>= 1)"]
    {
        for packages in [[old(), new(replaces)], [new(replaces), old()]] {
            assert_eq!(owner(&merged(&packages).unwrap(), "etc/x"), "package new", "{replaces}");
        }
    }
    for replaces in ["old (<< 1.0-1)", "unrelated", "other (= 3)", "old (nonsense)"] {
        assert!(refused(&[old(), new(replaces)]).contains("neither declares"), "{replaces}");
    }
    let both = refused(&[old().field("Replaces", "new"), new("old")]);
    assert!(
        both.ends_with("have different contents there, and each declares that it replaces the other"),
        "{both}"
    );
}

#[test]
fn of_three_packages_one_must_replace_both_others() {
    let with =
        |name: &str, replaces: &str| Fixture::new(name).file("etc/x", name).field("Replaces", replaces);
    let tree = merged(&[with("a", "none"), with("b", "a, c"), with("c", "a")]).unwrap();
    assert_eq!(owner(&tree, "etc/x"), "package b");
    assert!(
        refused(&[with("a", "none"), with("b", "c"), with("c", "none")])
            .starts_with("/etc/x: packages a and b ")
    );
}

#[test]
fn nothing_is_written_through_another_packages_link() {
    let link = Fixture::new("evil").link("usr/lib/plugins", "/etc");
    let victim = Fixture::new("victim").file("usr/lib/plugins/passwd", "x");
    assert_eq!(
        refused(&[victim, link]),
        "package victim: /usr/lib/plugins/passwd cannot be placed: /usr/lib/plugins is a symbolic link, put there by \
         package evil, and not a directory"
    );
}

#[test]
fn a_name_of_a_replaced_file_keeps_its_own_bytes() {
    let old = Fixture::new("old").file("usr/bin/tool", "old").hard_link("usr/bin/tool-1", "usr/bin/tool");
    let new = Fixture::new("new").file("usr/bin/tool", "new").field("Replaces", "old");
    let tree = merged(&[old, new]).unwrap();
    assert_eq!(tree.get(&path("usr/bin/tool")).unwrap().kind, NodeKind::File(content("new")));
    assert_eq!(tree.get(&path("usr/bin/tool-1")).unwrap().kind, NodeKind::File(content("old")));
}

/// Packages that clash now and then: few paths, few contents, some relations.
fn package(name: &'static str) -> impl Strategy<Value = Fixture> {
    let place = prop::sample::select(vec!["a", "a/b", "a/b/c", "a/d", "usr/bin/x", "usr/lib/y", "usr/lib"]);
    let kind = prop::sample::select(vec![
        "directory",
        "directory",
        "directory",
        "file",
        "file",
        "other file",
        "link",
    ]);
    let entries = prop::collection::btree_map(place, (kind, prop::bool::weighted(0.2)), 0..6);
    let replaces = prop::option::of(prop::sample::select(vec!["p", "q", "r", "s", "q, r"]));
    (entries, replaces).prop_map(move |(entries, replaces)| {
        let mut fixture = Fixture::new(name);
        if let Some(replaces) = replaces {
            fixture = fixture.field("Replaces", replaces);
        }
        for (place, (kind, special)) in entries {
            fixture = match kind {
                "directory" => fixture.directory(place),
                "link" => fixture.link(place, "elsewhere"),
                _ => fixture.file(place, kind),
            };
            if special
                && let Some(entry) = fixture.0.entries.iter_mut().find(|entry| entry.path == path(place))
            {
                entry.node.mode = 0o700;
            }
        }
        fixture
    })
}

proptest! {
    #[test]
    fn the_order_of_the_packages_does_not_show(
        packages in (package("p"), package("q"), package("r"), package("s")),
        order in Just([0, 1, 2, 3]).prop_shuffle(),
    ) {
        let packages = [packages.0, packages.1, packages.2, packages.3];
        let shuffled: Vec<Fixture> = order.iter().map(|index| packages[*index].clone()).collect();
        prop_assert_eq!(merged(&packages), merged(&shuffled));
    }

    #[test]
    fn the_tree_holds_every_path_and_no_other(packages in (package("p"), package("q"))) {
        let packages = [packages.0, packages.1];
        if let Ok(tree) = merged(&packages) {
            let given = || packages.iter().flat_map(|fixture| &fixture.0.entries);
            for entry in given() {
                prop_assert!(tree.get(&entry.path).is_some());
            }
            for (place, node) in tree.iter() {
                let above = given().any(|entry| entry.path.starts_with(place));
                let alias = aliases::is_alias(place) && matches!(node.kind, NodeKind::Symlink(_));
                prop_assert!(above || alias || place.is_root(), "{place}");
            }
        }
    }
}
