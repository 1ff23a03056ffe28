//! The merge itself: a pure function of three trees.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_composefs::{Kind, Node};

use super::same;
use crate::files::Nodes;

/// Which tree a path of the result is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The machine's `/etc`.
    Machine,
    /// The new image.
    Image,
}

/// The new `/etc`, and what its owner should know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    /// Every path of the result.
    pub(crate) nodes: BTreeMap<TreePath, Node>,
    /// Where each is from.
    pub(crate) sides: BTreeMap<TreePath, Side>,
    /// Paths that both changed, differently: the machine's stays.
    pub kept: Vec<String>,
    /// Paths that cannot be merged, and why. When there are any, there is no result.
    pub conflicts: Vec<String>,
}

/// What becomes of one path.
enum Verdict {
    Machine,
    /// The machine's, though the image has another new one.
    MachineBeforeImage,
    Image,
    Nothing,
    Conflict(&'static str),
}

impl Merge {
    /// Merges: `base` is the `/etc` of the image that runs, `live` the machine's, `new` that of the image to come.
    pub(crate) fn of(base: &Nodes, live: &Nodes, new: &Nodes) -> Self {
        let mut merge = Self::default();
        let paths: BTreeSet<&TreePath> = base.keys().chain(live.keys()).chain(new.keys()).collect();
        for path in paths {
            let (base, live, new) = (base.get(path), live.get(path), new.get(path));
            match verdict(base, live, new) {
                Verdict::Machine => merge.take(path, live, Side::Machine),
                Verdict::MachineBeforeImage => {
                    merge.kept.push(shown(path));
                    merge.take(path, live, Side::Machine);
                }
                Verdict::Image => merge.take(path, new, Side::Image),
                Verdict::Nothing => {}
                Verdict::Conflict(reason) => merge.conflicts.push(format!("{}: {reason}", shown(path))),
            }
        }
        merge.settle_directories(base, live, new);
        merge
    }

    fn take(&mut self, path: &TreePath, node: Option<&Node>, side: Side) {
        if let Some(node) = node {
            self.nodes.insert(path.clone(), node.clone());
            self.sides.insert(path.clone(), side);
        }
    }

    /// Sees to it that every path of the result lies in a directory.
    fn settle_directories(&mut self, base: &Nodes, live: &Nodes, new: &Nodes) {
        let paths: Vec<TreePath> = self.nodes.keys().cloned().collect();
        for path in &paths {
            let mut above = path.parent();
            while let Some(directory) = above {
                above = directory.parent();
                let is_directory =
                    |node: Option<&Node>| node.is_some_and(|node| node.kind == Kind::Directory);
                if is_directory(self.nodes.get(&directory)) || !self.nodes.contains_key(path) {
                    continue;
                }
                let machine = self.sides.get(path) == Some(&Side::Machine);
                if self.nodes.contains_key(&directory) {
                    let text =
                        format!("{}: it is no directory, and {} lies in it", shown(&directory), shown(path));
                    self.conflicts.push(text);
                } else if machine && is_directory(live.get(&directory)) {
                    // The image took a directory away in which the machine has something of its own.
                    self.take(&directory, live.get(&directory), Side::Machine);
                } else if !machine && is_directory(base.get(&directory)) {
                    // The machine took a directory away: what the image has new in it goes the same way.
                    self.nodes.remove(path);
                    self.sides.remove(path);
                    self.kept.push(shown(path));
                } else {
                    self.take(&directory, new.get(&directory), Side::Image);
                }
            }
        }
        self.conflicts.sort();
        self.conflicts.dedup();
        self.kept.sort();
    }
}

fn shown(path: &TreePath) -> String {
    if path.is_root() { "/etc".to_owned() } else { format!("/etc{path}") }
}

fn verdict(base: Option<&Node>, live: Option<&Node>, new: Option<&Node>) -> Verdict {
    let equal = |left: Option<&Node>, right: Option<&Node>| match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => same(left, right),
        _ => false,
    };
    if equal(base, live) {
        return if new.is_some() { Verdict::Image } else { Verdict::Nothing };
    }
    if equal(base, new) || equal(live, new) {
        return if live.is_some() { Verdict::Machine } else { Verdict::Nothing };
    }
    // Both changed it, each in its own way.
    match (live, new) {
        (None, _) => Verdict::Nothing,
        (Some(_), None) => Verdict::Machine,
        (Some(live), Some(new)) => match (&live.kind, &new.kind) {
            (Kind::Directory, Kind::Directory) => Verdict::MachineBeforeImage,
            (Kind::Directory, _) => {
                Verdict::Conflict("it is a directory on this machine, and none in the new image")
            }
            (_, Kind::Directory) => {
                Verdict::Conflict("it is a directory in the new image, and none on this machine")
            }
            _ => Verdict::MachineBeforeImage,
        },
    }
}

#[cfg(test)]
mod tests {
    use calypte_composefs::Content;

    use super::*;

    /// A tree of one path `x`: `-` nothing, `a`, `b`, `c` files, `l` a link, `d` a directory, `e` the same with
    /// another mode, `f` a directory with a file in it.
    fn tree(what: char) -> Nodes {
        let path = |text: &str| TreePath::new(text).unwrap();
        let file = |text: &str| Node::new(Kind::File(Content::Inline(text.into())), 0o644);
        let mut nodes = Nodes::from([(TreePath::root(), Node::new(Kind::Directory, 0o755))]);
        let node = match what {
            '-' => return nodes,
            'l' => Node::new(Kind::Symlink("target".into()), 0o777),
            'd' | 'f' => Node::new(Kind::Directory, 0o755),
            'e' => Node::new(Kind::Directory, 0o700),
            other => file(&other.to_string()),
        };
        nodes.insert(path("x"), node);
        if what == 'f' {
            nodes.insert(path("x/in"), file("in"));
        }
        nodes
    }

    fn outcome(base: char, live: char, new: char) -> String {
        let merge = Merge::of(&tree(base), &tree(live), &tree(new));
        if !merge.conflicts.is_empty() {
            return "!".to_owned();
        }
        let x = TreePath::new("x").unwrap();
        let below = merge.nodes.contains_key(&x.join("in").unwrap());
        let kind = match merge.nodes.get(&x).map(|node| (&node.kind, node.mode)) {
            None => '-',
            Some((Kind::Symlink(_), _)) => 'l',
            Some((Kind::Directory, _)) if below => 'f',
            Some((Kind::Directory, 0o700)) => 'e',
            Some((Kind::Directory, _)) => 'd',
            Some((Kind::File(Content::Inline(bytes)), _)) => char::from(bytes[0]),
            Some(_) => '?',
        };
        let kept = if merge.kept.is_empty() { "" } else { "*" };
        format!("{kind}{kept}")
    }

    /// Every combination of nothing, file, link and directory, the same, changed or taken away.
    #[test]
    fn every_combination_has_its_rule() {
        // base, live, new → outcome; `*`: reported as changed by both; `!`: refused.
        let table = "
            --- -   --a a   --l l   --d d   --f f   -a- a   -aa a   -ab a*  -al a*  -ad !   -af !
            -l- l   -ll l   -la l*  -ld !   -d- d   -dd d   -da !   -dl !   -de d*  -df f   -f- f   -ff f
            -fd f   -fa !   -fl !
            a-- -   a-a -   a-b -   a-l -   a-d -   aa- -   aaa a   aab b   aal l   aad d   aaf f
            ab- b   aba b   abb b   abc b*  abl b*  abd !   abf !
            al- l   ala l   all l   alb l*  ald !   ad- d   ada d   add d   adb !   adl !   ade d*
            af- f   afa f   aff f   afb !
            l-- -   l-l -   l-a -   l-d -   ll- -   lll l   lla a   lld d   la- a   lal a   laa a   lab a*  lad !
            ld- d   ldl d   ldd d   lda !
            d-- -   d-d -   d-e -   d-a -   d-f -*  dd- -   ddd d   dda a   ddl l   dde e   ddf f
            de- e   ded e   dee e   dea !   da- a   dad a   daa a   dab a*  daf !   dl- l   dld l   dll l
            df- f   dfd f   dfe f   dff f   dfa !   dfl !
            f-- -   f-f -   f-d -   f-a -   ff- -   fff f   ffd d   ffa a   ffl l   ffe e
            fd- -   fdf d   fdd d   fda a   fa- a   faf a   faa a   fab a*  fad a
        ";
        let words: Vec<&str> = table.split_whitespace().collect();
        let mut wrong = Vec::new();
        for pair in words.chunks(2) {
            let mut letters = pair[0].chars();
            let (base, live, new) =
                (letters.next().unwrap(), letters.next().unwrap(), letters.next().unwrap());
            let found = outcome(base, live, new);
            if found != pair[1] {
                wrong.push(format!("{}: {found} instead of {}", pair[0], pair[1]));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn attributes_are_merged_like_contents() {
        let with_mode = |mode| {
            let mut nodes = tree('a');
            nodes.get_mut("x").unwrap().mode = mode;
            nodes
        };
        let merge = Merge::of(&with_mode(0o644), &with_mode(0o600), &tree('b'));
        // A file that was made private stays as it is, though the image has new contents.
        assert_eq!(merge.nodes.get("x").unwrap().mode, 0o600);
        assert_eq!(merge.kept, ["/etc/x"]);
        let mut later = tree('a');
        later.get_mut("x").unwrap().mtime = 5;
        let merge = Merge::of(&tree('a'), &later, &tree('b'));
        assert_eq!(merge.sides.get("x"), Some(&Side::Image), "a time alone is no change");
    }
}
