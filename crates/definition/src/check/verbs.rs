//! Checks the verbs of `fs:`.

use std::collections::BTreeMap;

use super::Checker;
use super::words::{self, Fault};
use crate::fs::{FsChange, FsOwner, FsVerb, Replacement};
use crate::written::{EditVerb, FormatFile, Text, VerbFile};
use crate::yaml::Span;

impl Checker<'_> {
    pub(super) fn verbs(&mut self, verbs: &[VerbFile]) -> Vec<FsChange> {
        let mut made: BTreeMap<String, Vec<(Option<FormatFile>, Span)>> = BTreeMap::new();
        let mut checked = Vec::new();
        for verb in verbs {
            if let VerbFile::Dir(crate::written::DirVerb { dir: path, .. })
            | VerbFile::Link(crate::written::LinkVerb { link: path, .. })
            | VerbFile::File(crate::written::FileVerb { file: path, .. })
            | VerbFile::Program(crate::written::ProgramVerb { program: path, .. }) = verb
            {
                let earlier = made.entry(path.value.clone()).or_default();
                // What is made once for each format is made once in every image.
                if let Some((_, first)) = earlier.iter().find(|(format, _)| meet(*format, verb.format())) {
                    let fault = Fault::new(format!("`{}` is made twice", path.value));
                    let line = self.source.line(*first);
                    self.fault(
                        path.span,
                        fault.hint(format!("it is first made on line {line}; delete one of the two")),
                    );
                }
                earlier.push((verb.format(), path.span));
            }
            let format = verb.format().map(Into::into);
            checked.extend(self.verb(verb).map(|verb| FsChange { format, verb }));
        }
        checked
    }

    fn verb(&mut self, verb: &VerbFile) -> Option<FsVerb> {
        match verb {
            VerbFile::Dir(verb) => {
                let (path, mode) = (self.value(&verb.dir, words::path), self.mode(verb.mode.as_ref(), 0o755));
                let owner = self.owner(verb.owner.as_ref());
                Some(FsVerb::Dir { path: path?, mode: mode?, owner: owner? })
            }
            VerbFile::Link(verb) => {
                let path = self.value(&verb.link, words::path);
                let target =
                    self.value(&verb.target, |target| match target {
                        "" => Err(Fault::new("a link must point somewhere")
                            .hint("write the path that it points to")),
                        _ => words::argument(target),
                    });
                let (path, target) = (path?, target?);
                if path.resolve_link(&target).as_ref() == Ok(&path) {
                    self.fault(
                        verb.target.span,
                        Fault::new("this link points to itself").hint("write another target"),
                    );
                }
                Some(FsVerb::Link { path, target })
            }
            VerbFile::File(verb) => {
                let (path, mode) =
                    (self.value(&verb.file, words::path), self.mode(verb.mode.as_ref(), 0o644));
                let owner = self.owner(verb.owner.as_ref());
                Some(FsVerb::File {
                    path: path?,
                    content: self.filled(&verb.content.value),
                    mode: mode?,
                    owner: owner?,
                })
            }
            VerbFile::Program(verb) => {
                let path = self.value(&verb.program, words::path);
                let name = self.value(&verb.name, words::program);
                Some(FsVerb::Program { path: path?, name: name? })
            }
            VerbFile::Edit(verb) => self.edit(verb),
            VerbFile::Delete(verb) => Some(FsVerb::Delete {
                path: self.value(&verb.delete, words::glob)?,
                expect: verb.expect.map(|expect| expect.value),
            }),
            VerbFile::Chown(verb) => {
                let (path, owner) =
                    (self.value(&verb.chown, words::path), self.value(&verb.owner, words::owner));
                Some(FsVerb::Owner { path: path?, owner: owner?, recursive: verb.recursive })
            }
            VerbFile::Setcap(verb) => {
                let path = self.value(&verb.setcap, words::path);
                let caps = self.value(&verb.capabilities, words::capabilities);
                Some(FsVerb::Setcap { path: path?, caps: caps? })
            }
        }
    }

    fn edit(&mut self, verb: &EditVerb) -> Option<FsVerb> {
        let path = self.value(&verb.edit, words::path);
        let (from, to) = (&verb.replace.from, &verb.replace.to);
        if from.value.is_empty() {
            let fault = Fault::new("the text to be replaced is empty");
            self.fault(
                from.span,
                fault.hint("write the text that stands in the file; `file:` writes a whole one"),
            );
        } else if from.value == to.value {
            let fault = Fault::new("the text is replaced by itself");
            self.fault(to.span, fault.hint("write what is to take its place, or delete the verb"));
        }
        let expect = verb.expect.map_or(1, |expect| expect.value);
        if let Some(zero) = verb.expect.filter(|expect| expect.value == 0) {
            let fault = Fault::new("an edit that must match nothing does nothing");
            self.fault(zero.span, fault.hint("write how often the text occurs, or delete the verb"));
        }
        let replace = Replacement { from: self.filled(&from.value), to: self.filled(&to.value) };
        Some(FsVerb::Edit { path: path?, replace, expect })
    }

    fn mode(&mut self, text: Option<&Text>, default: u32) -> Option<u32> {
        text.map_or(Some(default), |text| self.value(text, words::mode))
    }

    fn owner(&mut self, text: Option<&Text>) -> Option<FsOwner> {
        text.map_or(Some(FsOwner::Root), |text| self.value(text, words::owner))
    }
}

/// Whether there are images for which both are done.
fn meet(one: Option<FormatFile>, other: Option<FormatFile>) -> bool {
    one.is_none() || other.is_none() || one == other
}
