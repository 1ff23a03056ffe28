//! What a package wants to have run: scriptlets, triggers and file triggers, out of the main header.
//!
//! A script is bytes: rpm writes them into a file, or gives them to Lua, whatever they mean. What is compared with
//! names here, interpreters and conditions, must be UTF-8. Nothing is cut: who reviews a script must see all that would
//! run.

use std::fmt;
use std::str::FromStr;

use crate::rpm::error::{RpmError, shown};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// What rpm takes when a scriptlet names no interpreter.
const SHELL: &str = "/bin/sh";

/// Comparisons and kinds of triggers (`RPMSENSE_*`).
const LESS: u32 = 1 << 1;
const GREATER: u32 = 1 << 2;
const EQUAL: u32 = 1 << 3;
const TRIGGER_IN: u32 = 1 << 16;
const TRIGGER_UN: u32 = 1 << 17;
const TRIGGER_POSTUN: u32 = 1 << 18;
const TRIGGER_PREIN: u32 = 1 << 25;

/// Something that rpm runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scriptlet {
    /// When it runs.
    pub kind: ScriptletKind,
    /// The interpreter and its arguments; `<lua>` is the one inside of rpm.
    pub interpreter: Vec<String>,
    /// The script, byte for byte; empty when only the interpreter is run.
    pub text: Vec<u8>,
    /// What a trigger waits for: packages (`bash >= 5, zsh`) or path prefixes (`/usr/lib/fonts, /etc/fonts`).
    pub condition: Option<String>,
}

/// When a scriptlet runs. Displays as in a spec file, without the percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptletKind {
    /// Before the transaction.
    Pretrans,
    /// Before the package's files are put in place.
    Pre,
    /// After that.
    Post,
    /// After the transaction.
    Posttrans,
    /// Before the package's files are removed.
    Preun,
    /// After that.
    Postun,
    /// Before a transaction that removes the package.
    Preuntrans,
    /// After a transaction that removes the package.
    Postuntrans,
    /// When the package is verified.
    Verify,
    /// Before another package is installed.
    TriggerPrein,
    /// After another package is installed.
    TriggerIn,
    /// Before another package is removed.
    TriggerUn,
    /// After another package is removed.
    TriggerPostun,
    /// After files of any package came.
    FileTriggerIn,
    /// Before files of any package go.
    FileTriggerUn,
    /// After files of any package went.
    FileTriggerPostun,
    /// After a transaction that brought files.
    TransFileTriggerIn,
    /// Before a transaction that removes files.
    TransFileTriggerUn,
    /// After a transaction that removed files.
    TransFileTriggerPostun,
}

const KINDS: [(ScriptletKind, &str); 19] = [
    (ScriptletKind::Pretrans, "pretrans"),
    (ScriptletKind::Pre, "pre"),
    (ScriptletKind::Post, "post"),
    (ScriptletKind::Posttrans, "posttrans"),
    (ScriptletKind::Preun, "preun"),
    (ScriptletKind::Postun, "postun"),
    (ScriptletKind::Preuntrans, "preuntrans"),
    (ScriptletKind::Postuntrans, "postuntrans"),
    (ScriptletKind::Verify, "verify"),
    (ScriptletKind::TriggerPrein, "triggerprein"),
    (ScriptletKind::TriggerIn, "triggerin"),
    (ScriptletKind::TriggerUn, "triggerun"),
    (ScriptletKind::TriggerPostun, "triggerpostun"),
    (ScriptletKind::FileTriggerIn, "filetriggerin"),
    (ScriptletKind::FileTriggerUn, "filetriggerun"),
    (ScriptletKind::FileTriggerPostun, "filetriggerpostun"),
    (ScriptletKind::TransFileTriggerIn, "transfiletriggerin"),
    (ScriptletKind::TransFileTriggerUn, "transfiletriggerun"),
    (ScriptletKind::TransFileTriggerPostun, "transfiletriggerpostun"),
];

impl ScriptletKind {
    /// Whether it runs when packages come, and not only when one goes or is verified.
    #[must_use]
    pub const fn runs_at_installation(self) -> bool {
        matches!(
            self,
            Self::Pretrans
                | Self::Pre
                | Self::Post
                | Self::Posttrans
                | Self::TriggerPrein
                | Self::TriggerIn
                | Self::FileTriggerIn
                | Self::TransFileTriggerIn
        )
    }
}

impl fmt::Display for ScriptletKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(KINDS.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name))
    }
}

/// A text that names no kind of scriptlet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of rpm scriptlet (such as `post`, `triggerin`, `filetriggerin`)")]
pub struct ScriptletKindError(String);

impl FromStr for ScriptletKind {
    type Err = ScriptletKindError;

    fn from_str(text: &str) -> Result<Self, ScriptletKindError> {
        let found = KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        found.ok_or_else(|| ScriptletKindError(text.chars().take(100).collect()))
    }
}

/// Each plain scriptlet with the tags of its text and of its interpreter.
const PLAIN: [(ScriptletKind, u32, u32); 9] = [
    (ScriptletKind::Pretrans, tag::PRETRANS, tag::PRETRANS_PROGRAM),
    (ScriptletKind::Pre, tag::PRE, tag::PRE_PROGRAM),
    (ScriptletKind::Post, tag::POST, tag::POST_PROGRAM),
    (ScriptletKind::Posttrans, tag::POSTTRANS, tag::POSTTRANS_PROGRAM),
    (ScriptletKind::Preun, tag::PREUN, tag::PREUN_PROGRAM),
    (ScriptletKind::Postun, tag::POSTUN, tag::POSTUN_PROGRAM),
    (ScriptletKind::Preuntrans, tag::PREUNTRANS, tag::PREUNTRANS_PROGRAM),
    (ScriptletKind::Postuntrans, tag::POSTUNTRANS, tag::POSTUNTRANS_PROGRAM),
    (ScriptletKind::Verify, tag::VERIFY_SCRIPT, tag::VERIFY_PROGRAM),
];

/// The tags of one family of triggers.
struct Family {
    scripts: u32,
    programs: u32,
    names: u32,
    versions: Option<u32>,
    flags: u32,
    indexes: u32,
    /// For the marks of in, un, postun and prein.
    kinds: [(u32, ScriptletKind); 4],
}

const FAMILIES: [Family; 3] = [
    Family {
        scripts: tag::TRIGGER_SCRIPTS,
        programs: tag::TRIGGER_PROGRAMS,
        names: tag::TRIGGER_NAME,
        versions: Some(tag::TRIGGER_VERSION),
        flags: tag::TRIGGER_FLAGS,
        indexes: tag::TRIGGER_INDEX,
        kinds: [
            (TRIGGER_PREIN, ScriptletKind::TriggerPrein),
            (TRIGGER_IN, ScriptletKind::TriggerIn),
            (TRIGGER_UN, ScriptletKind::TriggerUn),
            (TRIGGER_POSTUN, ScriptletKind::TriggerPostun),
        ],
    },
    Family {
        scripts: tag::FILE_TRIGGER_SCRIPTS,
        programs: tag::FILE_TRIGGER_PROGRAMS,
        names: tag::FILE_TRIGGER_NAME,
        versions: None,
        flags: tag::FILE_TRIGGER_FLAGS,
        indexes: tag::FILE_TRIGGER_INDEX,
        kinds: [
            (TRIGGER_IN, ScriptletKind::FileTriggerIn),
            (TRIGGER_UN, ScriptletKind::FileTriggerUn),
            (TRIGGER_POSTUN, ScriptletKind::FileTriggerPostun),
            (TRIGGER_PREIN, ScriptletKind::FileTriggerIn),
        ],
    },
    Family {
        scripts: tag::TRANS_FILE_TRIGGER_SCRIPTS,
        programs: tag::TRANS_FILE_TRIGGER_PROGRAMS,
        names: tag::TRANS_FILE_TRIGGER_NAME,
        versions: None,
        flags: tag::TRANS_FILE_TRIGGER_FLAGS,
        indexes: tag::TRANS_FILE_TRIGGER_INDEX,
        kinds: [
            (TRIGGER_IN, ScriptletKind::TransFileTriggerIn),
            (TRIGGER_UN, ScriptletKind::TransFileTriggerUn),
            (TRIGGER_POSTUN, ScriptletKind::TransFileTriggerPostun),
            (TRIGGER_PREIN, ScriptletKind::TransFileTriggerIn),
        ],
    },
];

impl Header {
    /// Everything that the package wants to have run: plain scriptlets, triggers, file triggers, transaction file
    /// triggers, each in the header's order.
    ///
    /// # Errors
    /// When a script is not one text, an interpreter or a condition not UTF-8, or the lists of triggers do not fit
    /// together.
    pub fn scriptlets(&self) -> Result<Vec<Scriptlet>, RpmError> {
        let mut scriptlets = Vec::new();
        for (kind, text, program) in PLAIN {
            if !self.has(text) && !self.has(program) {
                continue;
            }
            let interpreter = self.byte_strings(program).into_iter().map(|word| valid(INTERPRETER, word));
            let interpreter =
                or_shell(interpreter.map(|word| word.map(str::to_owned)).collect::<Result<_, _>>()?);
            let text = self.script(kind, text)?;
            scriptlets.push(Scriptlet { kind, interpreter, text, condition: None });
        }
        for family in &FAMILIES {
            self.triggers(family, &mut scriptlets)?;
        }
        Ok(scriptlets)
    }

    /// The text of a plain scriptlet; empty when the package has none.
    fn script(&self, kind: ScriptletKind, tag: u32) -> Result<Vec<u8>, RpmError> {
        match *self.byte_strings(tag) {
            [text] => Ok(text.to_vec()),
            [] if !self.has(tag) => Ok(Vec::new()),
            // Of several texts, or of numbers, readers would take different things for the script.
            _ => Err(RpmError::Value {
                what: "scriptlet",
                text: kind.to_string(),
                reason: "is not exactly one text",
            }),
        }
    }

    fn triggers(&self, family: &Family, scriptlets: &mut Vec<Scriptlet>) -> Result<(), RpmError> {
        let scripts = self.byte_strings(family.scripts);
        let programs = self.byte_strings(family.programs);
        let names = self.byte_strings(family.names);
        let same = |list, found, expected| {
            if found == expected { Ok(()) } else { Err(RpmError::ListLength { list, expected, found }) }
        };
        same("trigger interpreters", programs.len(), scripts.len())?;
        let (flags, indexes) = (self.u32s(family.flags), self.u32s(family.indexes));
        same("trigger flags", flags.len(), names.len())?;
        same("trigger indexes", indexes.len(), names.len())?;
        let versions = family
            .versions
            .map_or_else(|| vec![&b""[..]; names.len()], |versions| self.byte_strings(versions));
        same("trigger versions", versions.len(), names.len())?;

        let mut conditions: Vec<(Vec<String>, u32)> = vec![(Vec::new(), 0); scripts.len()];
        for (((name, version), flags), index) in names.into_iter().zip(versions).zip(flags).zip(indexes) {
            let condition = usize::try_from(index).ok().and_then(|index| conditions.get_mut(index));
            let condition = condition.ok_or_else(|| RpmError::Value {
                what: "trigger index",
                text: index.to_string(),
                reason: "is beyond the list of scripts",
            })?;
            condition.0.push(comparison(valid(CONDITION, name)?, flags, valid(CONDITION, version)?));
            condition.1 |= flags;
        }
        for ((text, program), (condition, flags)) in scripts.into_iter().zip(programs).zip(conditions) {
            let kind = family.kinds.iter().find(|(mark, _)| flags & mark != 0).map(|(_, kind)| *kind);
            let kind = kind.ok_or_else(|| RpmError::Value {
                what: "trigger",
                text: shown(condition.join(", ").as_bytes()),
                reason: "is of no known kind",
            })?;
            let words = valid(INTERPRETER, program)?.split_ascii_whitespace();
            let interpreter = or_shell(words.map(str::to_owned).collect());
            let condition = Some(condition.join(", "));
            scriptlets.push(Scriptlet { kind, interpreter, text: text.to_vec(), condition });
        }
        Ok(())
    }
}

/// How errors call what is checked to be UTF-8.
const INTERPRETER: &str = "scriptlet interpreter";
const CONDITION: &str = "trigger condition";

fn valid<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a str, RpmError> {
    std::str::from_utf8(bytes).map_err(|_| RpmError::Value {
        what,
        text: shown(bytes),
        reason: "is not UTF-8",
    })
}

fn or_shell(interpreter: Vec<String>) -> Vec<String> {
    if interpreter.is_empty() { vec![SHELL.to_owned()] } else { interpreter }
}

fn comparison(name: &str, flags: u32, version: &str) -> String {
    let operator: String = [(LESS, '<'), (GREATER, '>'), (EQUAL, '=')]
        .iter()
        .filter(|(mark, _)| flags & mark != 0)
        .map(|(_, sign)| *sign)
        .collect();
    if operator.is_empty() || version.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {operator} {version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::header::{MAGIC, Part};

    /// A main header of these entries: tag, type, count, values.
    fn header(entries: &[(u32, u32, u32, &[u8])]) -> Header {
        let index = |words: [u32; 4]| words.map(u32::to_be_bytes).concat();
        let (mut rows, mut store) = (Vec::new(), Vec::new());
        for (tag, kind, count, data) in entries {
            if *kind == 4 {
                store.resize(store.len().next_multiple_of(4), 0);
            }
            rows.extend(index([*tag, *kind, store.len() as u32, *count]));
            store.extend(*data);
        }
        let size = 16 * (entries.len() as u32 + 1);
        let region = index([tag::IMMUTABLE_REGION, 7, store.len() as u32, 16]);
        store.extend(index([tag::IMMUTABLE_REGION, 7, size.wrapping_neg(), 16]));
        let sizes = [size / 16, store.len() as u32].map(u32::to_be_bytes).concat();
        Header::parse(Part::Main, &[&MAGIC[..], &sizes, &region, &rows, &store].concat()).unwrap()
    }

    const IN: &[u8] = &[0, 1, 0, 0];

    #[test]
    fn a_script_is_all_of_its_bytes() {
        let text = b"echo caf\xe9\nrm -rf /\0";
        let post = header(&[(tag::POST, 6, 1, text)]);
        let trigger = header(&[
            (tag::TRIGGER_SCRIPTS, 8, 1, text),
            (tag::TRIGGER_NAME, 8, 1, b"bash\0"),
            (tag::TRIGGER_VERSION, 8, 1, b"\0"),
            (tag::TRIGGER_FLAGS, 4, 1, IN),
            (tag::TRIGGER_INDEX, 4, 1, &[0; 4]),
            (tag::TRIGGER_PROGRAMS, 8, 1, b"/bin/sh\0"),
        ]);
        for header in [post, trigger] {
            assert_eq!(header.scriptlets().unwrap()[0].text, b"echo caf\xe9\nrm -rf /");
        }
    }

    #[test]
    fn what_is_not_text_is_refused_by_name() {
        let trigger = |name: &'static [u8], version: &'static [u8], program: &'static [u8]| {
            header(&[
                (tag::TRIGGER_SCRIPTS, 8, 1, b"true\0"),
                (tag::TRIGGER_NAME, 8, 1, name),
                (tag::TRIGGER_VERSION, 8, 1, version),
                (tag::TRIGGER_FLAGS, 4, 1, IN),
                (tag::TRIGGER_INDEX, 4, 1, &[0; 4]),
                (tag::TRIGGER_PROGRAMS, 8, 1, program),
            ])
        };
        for (header, message) in [
            (
                header(&[(tag::POST_PROGRAM, 8, 2, b"/bin/sh\0-\xff\0")]),
                r"the header's scriptlet interpreter `-\xff` is not UTF-8",
            ),
            (
                header(&[(tag::POST, 8, 2, b"a\0b\0")]),
                "the header's scriptlet `post` is not exactly one text",
            ),
            (header(&[(tag::POST, 4, 1, &[0; 4])]), "the header's scriptlet `post` is not exactly one text"),
            (trigger(b"ba\xffsh\0", b"\0", b"\0"), r"the header's trigger condition `ba\xffsh` is not UTF-8"),
            (trigger(b"bash\0", b"\xff\0", b"\0"), r"the header's trigger condition `\xff` is not UTF-8"),
            (
                trigger(b"bash\0", b"\0", b"/bin/\xff\0"),
                r"the header's scriptlet interpreter `/bin/\xff` is not UTF-8",
            ),
        ] {
            assert_eq!(header.scriptlets().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn names_go_both_ways() {
        for (kind, name) in KINDS {
            assert_eq!(kind.to_string(), name);
            assert_eq!(name.parse(), Ok(kind));
        }
        assert!("Post".parse::<ScriptletKind>().is_err());
    }
}
