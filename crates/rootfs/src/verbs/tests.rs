//! Each verb of a definition on a small tree, and each way in which it can fail.

use super::*;
use crate::fixture::path;

/// A tree with a configuration file, links and a program of two names.
struct Stage {
    tree: FileTree,
    contents: Contents,
}

const CONFIG: &str = "user www-data;\nworkers 1;\n# user of old\n";

impl Stage {
    fn new() -> Self {
        let owner = || Owner::Package("pkg".to_owned());
        let mut tree = FileTree::new(Node::directory(0, owner()));
        let mut contents = Contents::new();
        for name in ["etc", "etc/app", "run", "usr", "usr/bin", "usr/lib", "var", "var/log"] {
            tree.insert(path(name), Node::directory(0, owner())).unwrap();
        }
        let (digest, size) = contents.add(CONFIG.as_bytes().to_vec());
        let config = Node { mode: 0o640, gid: 5, ..Node::file(Content { digest, size }, 0, owner()) };
        tree.insert(path("etc/app/app.conf"), config).unwrap();
        let (digest, size) = contents.add(vec![0xff, 0]);
        tree.insert(path("usr/bin/app"), Node::file(Content { digest, size }, 0, owner())).unwrap();
        let link = Node { kind: NodeKind::HardLink(path("usr/bin/app")), ..Node::directory(0, owner()) };
        tree.insert(path("usr/bin/app-1"), link).unwrap();
        tree.insert(path("var/run"), Node::symlink("/run".to_owned(), 0, owner())).unwrap();
        tree.insert(path("etc/app.conf"), Node::symlink("app/app.conf".to_owned(), 0, owner())).unwrap();
        Self { tree, contents }
    }

    fn apply(&mut self, verb: FsVerb) -> Result<(), VerbError> {
        let user = User { name: "nonroot".to_owned(), uid: 65532, gid: 65533, home: path("home/nonroot") };
        let programs = Programs::from([("tool".to_owned(), b"\x7fELF".to_vec())]);
        apply(&mut self.tree, &mut self.contents, &[verb], &programs, &user, Epoch(99))
    }

    fn refused(&mut self, verb: FsVerb) -> String {
        self.apply(verb).unwrap_err().to_string()
    }

    fn node(&self, text: &str) -> &Node {
        self.tree.get(&path(text)).unwrap()
    }

    fn text(&self, text: &str) -> String {
        let content = self.tree.file(&path(text)).unwrap();
        String::from_utf8(self.contents.read(&content.digest).unwrap()).unwrap()
    }
}

fn edit(place: &str, from: &str, to: &str, expect: u32) -> FsVerb {
    FsVerb::Edit { path: path(place), replace: Replacement { from: from.into(), to: to.into() }, expect }
}

fn dir(place: &str, mode: u32, owner: FsOwner) -> FsVerb {
    FsVerb::Dir { path: path(place), mode, owner }
}

fn file(place: &str) -> FsVerb {
    FsVerb::File {
        path: path(place),
        content: "text\n".into(),
        mode: 0o600,
        owner: FsOwner::Ids { uid: 7, gid: 8 },
    }
}

fn link(place: &str, target: &str) -> FsVerb {
    FsVerb::Link { path: path(place), target: target.into() }
}

fn delete(pattern: &str, expect: Option<u32>) -> FsVerb {
    FsVerb::Delete { path: pattern.into(), expect }
}

fn owner(place: &str, recursive: bool) -> FsVerb {
    FsVerb::Owner { path: path(place), owner: FsOwner::User, recursive }
}

#[test]
fn dir_makes_parents_and_changes_what_is_there() {
    let mut stage = Stage::new();
    stage.apply(dir("srv/data/app", 0o1770, FsOwner::User)).unwrap();
    let node = stage.node("srv/data/app");
    assert_eq!((node.mode, node.uid, node.gid, node.mtime), (0o1770, 65532, 65533, 99));
    assert_eq!((stage.node("srv/data").mode, stage.node("srv/data").uid), (0o755, 0));
    stage.apply(dir("var/log", 0o700, FsOwner::Root)).unwrap();
    assert_eq!(
        (stage.node("var/log").mode, &stage.node("var/log").owner),
        (0o700, &Owner::Package("pkg".into()))
    );
    stage.apply(dir("var/run/app", 0o755, FsOwner::Root)).unwrap();
    assert!(stage.tree.get(&path("run/app")).is_some(), "a link in the way is followed");
    stage.apply(dir("var/run", 0o711, FsOwner::Root)).unwrap();
    assert_eq!(stage.node("run").mode, 0o711);
    assert_eq!(
        stage.refused(dir("etc/app/app.conf", 0o755, FsOwner::Root)),
        "dir /etc/app/app.conf: it is a file and not a directory"
    );
    assert!(
        stage.refused(dir("etc/app/app.conf/x/y", 0o755, FsOwner::Root)).contains("is a file, put there by")
    );
}

#[test]
fn programs_come_from_the_catalog() {
    let mut stage = Stage::new();
    let program = |place: &str, name: &str| FsVerb::Program { path: path(place), name: name.to_owned() };
    stage.apply(program("usr/bin/tool", "tool")).unwrap();
    let node = stage.node("usr/bin/tool");
    assert_eq!((node.mode, node.uid, node.gid, &node.owner), (0o755, 0, 0, &Owner::Definition));
    assert_eq!(stage.text("usr/bin/tool"), "\x7fELF");
    let error = stage.apply(program("usr/bin/other", "other")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "program /usr/bin/other: the catalog has no program `other` for this architecture"
    );
    assert!(error.hint().unwrap().contains("`programs/other/`"));
    assert_eq!(
        stage.refused(program("usr/lib", "tool")),
        "program /usr/lib: it is a directory and not a file"
    );
}

#[test]
fn file_and_link_replace_what_is_there_but_no_directory() {
    let mut stage = Stage::new();
    stage.apply(file("etc/app.conf")).unwrap();
    let node = stage.node("etc/app.conf");
    assert_eq!((node.mode, node.uid, node.gid, &node.owner), (0o600, 7, 8, &Owner::Definition));
    assert_eq!(stage.text("etc/app/app.conf"), CONFIG, "the link is replaced, not written through");
    stage.apply(file("new/deep/file")).unwrap();
    assert_eq!(stage.text("new/deep/file"), "text\n");
    stage.apply(link("var/log/app.log", "/dev/stdout")).unwrap();
    assert_eq!(stage.node("var/log/app.log").kind, NodeKind::Symlink("/dev/stdout".into()));
    stage.apply(link("etc/app/app.conf", "other")).unwrap();
    assert_eq!(stage.refused(file("usr/lib")), "file /usr/lib: it is a directory and not a file");
    assert_eq!(
        stage.refused(link("usr/bin", "x")),
        "link /usr/bin: /usr/bin is a directory with entries and cannot be replaced by a symbolic link"
    );
}

#[test]
fn edit_counts_and_keeps_mode_and_owner() {
    let mut stage = Stage::new();
    stage.apply(edit("etc/app.conf", "user www-data;\n", "", 1)).unwrap();
    assert_eq!(stage.text("etc/app/app.conf"), "workers 1;\n# user of old\n");
    let node = stage.node("etc/app/app.conf");
    assert_eq!((node.mode, node.gid, node.mtime, &node.owner), (0o640, 5, 99, &Owner::Definition));
    assert!(matches!(stage.node("etc/app.conf").kind, NodeKind::Symlink(_)), "the link stays");
}

#[test]
fn an_edit_that_does_not_fit_shows_what_was_found() {
    let mut stage = Stage::new();
    insta::assert_snapshot!(stage.refused(edit("etc/app.conf", "user", "x", 1)), @r"
    edit /etc/app.conf: expected 1 × `user` but found 2
      line 1: user www-data;
      line 3: # user of old
    ");
    insta::assert_snapshot!(stage.refused(edit("etc/app.conf", "workers auto;", "x", 1)), @r"
    edit /etc/app.conf: expected 1 × `workers auto;` but found 0; lines with `workers`:
      line 2: workers 1;
    ");
    insta::assert_snapshot!(stage.refused(edit("etc/app.conf", "nothing like it", "x", 2)), @"edit /etc/app.conf: expected 2 × `nothing like it` but found 0");
    insta::assert_snapshot!(stage.refused(edit("etc/none", "a", "b", 1)), @"edit /etc/none: there is no such file in the image");
    insta::assert_snapshot!(stage.refused(edit("usr/bin/app", "a", "b", 1)), @"edit /usr/bin/app: it is not UTF-8 text");
    insta::assert_snapshot!(stage.refused(edit("usr/bin", "a", "b", 1)), @"edit /usr/bin: it is a directory and not a file");
    assert_eq!(stage.text("etc/app.conf"), CONFIG, "a refused edit changes nothing");
}

#[test]
fn delete_counts_what_its_pattern_matches() {
    let mut stage = Stage::new();
    insta::assert_snapshot!(stage.refused(delete("usr/bin/app*", Some(1))), @r"
    delete usr/bin/app*: expected 1 path but found 2
      /usr/bin/app
      /usr/bin/app-1
    ");
    insta::assert_snapshot!(stage.refused(delete("opt/**", None)), @"delete opt/**: expected at least one path but found 0");
    insta::assert_snapshot!(stage.refused(delete("etc/{a", None)), @"delete etc/{a: pattern `etc/{a`: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)");
    stage.apply(delete("opt/**", Some(0))).unwrap();
    stage.apply(delete("usr/bin/app", None)).unwrap();
    assert_eq!(stage.tree.file(&path("usr/bin/app-1")).unwrap().size, 2, "the other name keeps the bytes");
    stage.apply(delete("etc/app", Some(1))).unwrap();
    assert!(stage.tree.get(&path("etc/app/app.conf")).is_none(), "what lies below goes too");
    stage.apply(delete("**", None)).unwrap();
    assert!(stage.tree.is_empty());
}

#[test]
fn owner_changes_one_or_all_below_and_every_name() {
    let mut stage = Stage::new();
    stage.apply(owner("usr/bin/app-1", false)).unwrap();
    assert_eq!((stage.node("usr/bin/app").uid, stage.node("usr/bin/app-1").gid), (65532, 65533));
    stage.apply(owner("etc", true)).unwrap();
    assert_eq!((stage.node("etc").uid, stage.node("etc/app/app.conf").uid), (65532, 65532));
    stage.apply(owner("var", false)).unwrap();
    assert_eq!((stage.node("var").uid, stage.node("var/log").uid), (65532, 0));
    assert_eq!(stage.refused(owner("srv", false)), "owner /srv: there is no such file in the image");
}

#[test]
fn setcap_marks_the_file_under_every_name() {
    let mut stage = Stage::new();
    let setcap = |place: &str, caps: &str| FsVerb::Setcap { path: path(place), caps: caps.to_owned() };
    stage.apply(setcap("usr/bin/app", "cap_net_bind_service=ep")).unwrap();
    for name in ["usr/bin/app", "usr/bin/app-1"] {
        assert!(stage.node(name).xattrs.contains_key("security.capability"), "{name}");
    }
    assert!(stage.refused(setcap("usr/bin/app", "nonsense")).starts_with("setcap /usr/bin/app: "));
    assert_eq!(
        stage.refused(setcap("usr/bin", "cap_chown=ep")),
        "setcap /usr/bin: it is a directory and not a file"
    );
    assert_eq!(stage.refused(setcap("x", "cap_chown=ep")), "setcap /x: there is no such file in the image");
}
