//! Checks `run:` and `user:`.

use calypte_base::TreePath;

use super::words::{self, Fault};
use super::{Checker, RunDelta};
use crate::image::User;
use crate::written::{RunFile, Text, UserFile};
use crate::yaml::Spanned;

/// The number of the user that containers run as: the one that other distroless images use, so that volumes can be
/// shared with them.
pub const NONROOT: u32 = 65532;

impl User {
    /// `nonroot`, 65532: the user of an image that names none.
    #[must_use]
    pub fn nonroot() -> Self {
        Self { name: "nonroot".to_owned(), uid: NONROOT, gid: NONROOT, home: home("home/nonroot") }
    }

    /// `root`.
    #[must_use]
    pub fn root() -> Self {
        Self { name: "root".to_owned(), uid: 0, gid: 0, home: home("root") }
    }
}

/// A home directory that is known to be a path.
fn home(path: &str) -> TreePath {
    TreePath::new(path).unwrap_or_else(|_| TreePath::root())
}

impl Checker<'_> {
    pub(super) fn run(&mut self, run: &RunFile) -> RunDelta {
        RunDelta {
            entrypoint: run.entrypoint.as_ref().map(|words| self.command(words)),
            cmd: run.cmd.as_ref().map(|words| self.arguments(words)),
            environment: self.entries(&run.environment, words::environment_name, words::argument),
            workdir: run.workdir.as_ref().and_then(|path| self.value(path, words::directory)),
            ports: self.list(&run.ports, words::port, true),
            volumes: self.list(&run.volumes, words::path, true),
            stop_signal: run.stop_signal.as_ref().and_then(|signal| self.value(signal, words::signal)),
            labels: self.entries(&run.labels, words::label, words::argument),
        }
    }

    fn arguments(&mut self, words: &[Text]) -> Vec<String> {
        words.iter().filter_map(|word| self.value(word, words::argument)).collect()
    }

    fn command(&mut self, words: &[Text]) -> Vec<String> {
        if let Some(program) = words.first() {
            self.value(program, words::argument);
            self.program(&program.as_deref());
        }
        self.arguments(words)
    }

    /// A program's name: one that holds blanks was meant as a command line.
    pub(super) fn program(&mut self, program: &Spanned<&str>) {
        let name = program.value;
        if name.is_empty() {
            let fault = Fault::new("the program's name is empty");
            self.fault(program.span, fault.hint("name the program first, then its arguments"));
        } else if name.contains(char::is_whitespace) {
            let words = name.split_whitespace().collect::<Vec<_>>().join(", ");
            let fault = Fault::new(format!("`{name}` is not the name of a program"));
            self.fault(
                program.span,
                fault.hint(format!("no shell takes it apart: write each word by itself, [{words}]")),
            );
        }
    }

    pub(super) fn described_user(&mut self, user: UserFile) -> Option<User> {
        let name = self.value(&user.name, words::user_name)?;
        let default = if name == "root" { User::root() } else { User::nonroot() };
        let uid = self.id(user.uid).unwrap_or(default.uid);
        if (uid == 0) != (name == "root") {
            let fault = Fault::new(format!("user `{name}` cannot have the number {uid}"));
            let span = user.uid.map_or(user.name.span, |uid| uid.span);
            self.fault(span, fault.hint("0 is root's, and root's alone"));
        }
        let gid = self.id(user.gid).unwrap_or(uid);
        let home = match &user.home {
            Some(path) => self.value(path, words::path)?,
            None if name == "root" => default.home,
            None => home(&format!("home/{name}")),
        };
        Some(User { name, uid, gid, home })
    }

    fn id(&mut self, number: Option<Spanned<u32>>) -> Option<u32> {
        let number = number?;
        words::id(number.value).map_err(|fault| self.fault(number.span, fault)).ok()
    }
}
