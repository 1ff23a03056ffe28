//! Slices on small trees: what goes, what is kept, and that copyright files always are.

use calypte_universe::rules::Slice;

use super::*;
use crate::fixture::{Fixture, path};
use crate::merge::merge;

fn slices() -> Slices {
    let slice = |drop: &[&str], keep: &[&str]| Slice {
        title: String::new(),
        drop: drop.iter().map(|glob| (*glob).to_owned()).collect(),
        keep: keep.iter().map(|glob| (*glob).to_owned()).collect(),
        marked: BTreeSet::new(),
    };
    Slices(BTreeMap::from([
        ("docs".to_owned(), slice(&["usr/share/doc/**"], &[])),
        (
            "locale".to_owned(),
            slice(&["usr/share/locale/**"], &["usr/share/locale/locale.alias", "usr/share/locale/de/**"]),
        ),
        ("man".to_owned(), slice(&["/usr/share/man/**", "usr/share/doc/*/*.1"], &[])),
        ("programs".to_owned(), slice(&["usr/bin/a"], &[])),
        ("broken".to_owned(), slice(&["usr/[z"], &[])),
    ]))
}

fn tree() -> FileTree {
    let package = Fixture::new("p")
        .file("usr/bin/a", "a")
        .hard_link("usr/bin/b", "usr/bin/a")
        .file("usr/share/doc/p/copyright", "licence")
        .file("usr/share/doc/p/changelog.gz", "changes")
        .file("usr/share/doc/p/examples/copyright", "no licence")
        .file("usr/share/doc/p/p.1", "manual")
        .file("usr/share/doc/q/README", "readme")
        .link("usr/share/doc/p-extra", "p")
        .link("usr/share/doc/q-extra", "q")
        .directory("usr/share/doc/empty")
        .file("usr/share/locale/locale.alias", "alias")
        .file("usr/share/locale/de/p.mo", "de")
        .file("usr/share/locale/fr/LC_MESSAGES/p.mo", "fr")
        .file("usr/share/man/man1/p.1.gz", "man")
        .directory("usr/share/mandatory");
    merge(&[package.0], calypte_base::Epoch(0)).unwrap()
}

#[test]
fn a_directory_that_a_link_leads_to_stays_when_it_is_emptied() {
    let package = Fixture::new("p").file("usr/bin/a", "a").link("usr/programs", "bin").file("usr/x/y", "y").0;
    let mut tree = merge(&[package], calypte_base::Epoch(0)).unwrap();
    drop(&mut tree, &[], &slices(), &chosen(&["programs"])).unwrap();
    assert!(tree.get(&path("usr/bin/a")).is_none());
    assert!(tree.get(&path("usr/bin")).is_some_and(Node::is_directory));
}

fn chosen(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn left(names: &[&str]) -> (Vec<String>, BTreeMap<String, Dropped>) {
    let mut tree = tree();
    let dropped = drop(&mut tree, &[], &slices(), &chosen(names)).unwrap();
    (
        tree.iter()
            .map(|(path, _)| path.as_str().to_owned())
            .filter(|path| path.starts_with("usr/share/"))
            .collect(),
        dropped,
    )
}

#[test]
fn copyright_files_and_the_links_to_them_stay() {
    let (paths, dropped) = left(&["docs"]);
    let documentation: Vec<&str> =
        paths.iter().filter_map(|path| path.strip_prefix("usr/share/doc/")).collect();
    assert_eq!(documentation, ["p", "p-extra", "p/copyright"]);
    // Two files of `p` and the one below `examples`, its directory, `q` with its file and link, and `empty`.
    assert_eq!(dropped["docs"], Dropped { entries: 8, size: 7 + 6 + 10 + 6 });
}

#[test]
fn kept_patterns_win_inside_their_slice_and_emptied_directories_go() {
    let (paths, dropped) = left(&["locale", "man"]);
    let expected = [
        "usr/share/locale",
        "usr/share/locale/de",
        "usr/share/locale/de/p.mo",
        "usr/share/locale/locale.alias",
    ];
    assert_eq!(
        paths.iter().filter(|path| path.contains("locale")).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    assert!(!paths.iter().any(|path| path == "usr/share/man" || path == "usr/share/doc/p/p.1"));
    assert!(
        paths.iter().any(|path| path == "usr/share/mandatory"),
        "an empty directory that no slice names stays"
    );
    assert_eq!(dropped["locale"], Dropped { entries: 3, size: 2 });
}

#[test]
fn what_several_slices_drop_counts_once() {
    let (_, dropped) = left(&["docs", "man"]);
    assert_eq!(dropped["docs"].entries + dropped["man"].entries, 8 + 3);
}

#[test]
fn another_name_of_a_dropped_file_keeps_it() {
    let mut tree = tree();
    drop(&mut tree, &[], &slices(), &chosen(&["programs"])).unwrap();
    assert_eq!(tree.file(&path("usr/bin/b")).unwrap().size, 1);
}

#[test]
fn errors_name_the_slice() {
    let mut changed = tree();
    let unknown = drop(&mut changed, &[], &slices(), &chosen(&["doc"])).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no slice `doc` in this universe (there are: broken, docs, locale, man, programs)"
    );
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `docs`?"));
    let broken = drop(&mut changed, &[], &slices(), &chosen(&["docs", "broken"])).unwrap_err();
    assert!(broken.to_string().starts_with("slice `broken`: pattern `usr/[z`: "), "{broken}");
    assert_eq!(changed, tree(), "a refused drop changes nothing");
}

#[test]
fn what_packages_mark_goes_as_documentation_and_stays_as_licence() {
    let mark = |mut package: Fixture, name: &str, mark: Mark| {
        let entry = package.0.entries.iter_mut().find(|entry| entry.path == path(name)).unwrap();
        entry.mark = Some(mark);
        package
    };
    let package = Fixture::new("p")
        .file("opt/p/README", "readme")
        .file("opt/p/NOTES", "notes")
        .file("usr/share/doc/p/LICENSE", "licence")
        .file("usr/share/doc/p/changes", "changes")
        .file("usr/share/licenses/p/COPYING", "licence");
    let package = mark(package, "opt/p/README", Mark::Doc);
    let package = mark(package, "usr/share/doc/p/LICENSE", Mark::License);
    let package = mark(package, "usr/share/licenses/p/COPYING", Mark::Doc);
    let other = mark(Fixture::new("other").file("opt/p/NOTES", "notes"), "opt/p/NOTES", Mark::Doc);
    let mut slices = slices();
    slices.0.get_mut("docs").unwrap().marked.insert(Marked::Doc);
    let packages = [package.0];
    let mut tree = merge(&packages, calypte_base::Epoch(0)).unwrap();
    let marking = [packages[0].clone(), other.0];
    drop(&mut tree, &marking, &slices, &chosen(&["docs"])).unwrap();
    let left: Vec<&str> =
        tree.iter().filter(|(_, node)| !node.is_directory()).map(|(path, _)| path.as_str()).collect();
    assert_eq!(left, ["opt/p/NOTES", "usr/share/doc/p/LICENSE", "usr/share/licenses/p/COPYING"]);
}
