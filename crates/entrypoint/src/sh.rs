//! `/usr/bin/sh` of images that hold no shell: runs simple commands, and only programs of the server's own.
//!
//! initdb, pg_ctl and pg_dumpall start the programs beside them by system(3) and popen(3), and those start `/bin/sh`, as
//! Erlang does. What they write are words in quotes and redirections; that is all that is understood here. Whoever gets
//! hold of a way to run `sh` in the container can start the server's own programs, and nothing else: no pipes, no
//! variables, no second command, no script. The start scripts of Erlang and RabbitMQ, which the kernel gives to `sh` as
//! their first line asks, are known by their names, and what they would do is done here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::words::{self, Part};
use crate::{erlang, files, rabbitmq, session};

/// Redirections; a longer one before one that it starts with.
const OPERATORS: [&str; 6] = ["2>&1", "1>>", "1>", ">>", ">", "<"];

/// Where Debian keeps PostgreSQL's programs: below a directory for each version.
const VERSIONS: &str = "/usr/lib/postgresql/";

/// Where Fedora keeps them, among others.
const SHARED: &str = "/usr/bin/";

/// PostgreSQL's programs that others of its programs start.
const PROGRAMS: [&str; 14] = [
    "initdb",
    "pg_controldata",
    "pg_ctl",
    "pg_dump",
    "pg_dumpall",
    "pg_resetwal",
    "pg_restore",
    "pg_rewind",
    "pg_upgrade",
    "pg_verifybackup",
    "pg_waldump",
    "postgres",
    "psql",
    "vacuumdb",
];

/// This program again, by the paths that Erlang and C libraries have for a shell.
const SELVES: [&str; 2] = ["/bin/sh", "/usr/bin/sh"];

/// Where standard input comes from, or output goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Redirection {
    Input(String),
    Output {
        path: String,
        append: bool,
    },
    /// `2>&1`: errors go where the output goes at this point.
    ErrorsToOutput,
}

/// One simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Simple {
    program: String,
    arguments: Vec<String>,
    redirections: Vec<Redirection>,
}

/// Does what `sh ARGUMENTS…` asks for: becomes the command of `-c COMMAND`, runs those that `-s NAME` reads, or starts
/// the software whose start script is named. Returns only why not.
pub fn run(arguments: &[OsString]) -> Failure {
    let failure = match arguments {
        [flag, _name] if flag == "-s" => session::run(),
        [script, arguments @ ..] if !script.to_string_lossy().starts_with('-') => {
            script_in_its_place(script, arguments.to_vec())
        }
        _ => match asked(arguments).and_then(|text| command(&text)) {
            Ok(mut command) => {
                let error = command.exec();
                refusal(format!("cannot run {}: {error}", command.get_program().to_string_lossy()))
            }
            Err(failure) => failure,
        },
    };
    explained(failure)
}

/// A failure as one of `sh`, with what there is in place of a shell.
pub fn explained(failure: Failure) -> Failure {
    let failure = match failure.hint {
        Some(_) => failure,
        None => failure
            .hint("this image holds no shell: its `sh` runs one plain command of the server's own programs"),
    };
    Failure { message: format!("sh: {}", failure.message), ..failure }
}

fn script_in_its_place(script: &OsString, arguments: Vec<OsString>) -> Failure {
    let environment = Environment::of_process();
    match Path::new(script).file_name().and_then(|name| name.to_str()) {
        Some("erl") => erlang::start(arguments),
        Some("rabbitmq-server") => rabbitmq::start(&environment, arguments),
        Some(tool) if rabbitmq::TOOLS.contains(&tool) => rabbitmq::tool(&environment, tool, arguments),
        _ => Failure::new(format!("{} is a script, and scripts are not run", script.to_string_lossy())),
    }
}

fn refusal(message: impl Into<String>) -> Failure {
    // As a shell says that it cannot find a command.
    Failure { code: 127, ..Failure::new(message) }
}

/// The text of `-c TEXT` or `-c -- TEXT`.
fn asked(arguments: &[OsString]) -> Result<String> {
    let text = match arguments {
        [flag, text] if flag == "-c" => text,
        [flag, dashes, text] if flag == "-c" && dashes == "--" => text,
        [] => return Err(Failure::new("there is no command")),
        _ => return Err(Failure::new("only `sh -c COMMAND` is understood")),
    };
    text.clone().into_string().map_err(|_| Failure::new("the command is not UTF-8"))
}

fn parse(text: &str) -> Result<Simple> {
    let mut words = Vec::new();
    let mut redirections = Vec::new();
    let mut parts = words::parts(text, &OPERATORS)?.into_iter();
    while let Some(part) = parts.next() {
        let operator = match part {
            Part::Word(word) => {
                words.push(word);
                continue;
            }
            Part::Operator("2>&1") => {
                redirections.push(Redirection::ErrorsToOutput);
                continue;
            }
            Part::Operator(operator) => operator,
        };
        let Some(Part::Word(path)) = parts.next() else {
            return Err(Failure::new(format!("there is no file behind `{operator}`")));
        };
        redirections.push(match operator {
            "<" => Redirection::Input(path),
            _ => Redirection::Output { path, append: operator.ends_with(">>") },
        });
    }
    // The command takes this process's place in any case.
    if words.first().is_some_and(|word| word == "exec") {
        words.remove(0);
    }
    if words.is_empty() {
        return Err(Failure::new("there is no command"));
    }
    let program = words.remove(0);
    if !is_allowed(&program) {
        return Err(refusal(format!("{program} is not one of the programs that may be run")));
    }
    Ok(Simple { program, arguments: words, redirections })
}

/// Whether a program is the server's own, by its absolute path, or one of the few that Erlang starts.
fn is_allowed(program: &str) -> bool {
    if SELVES.contains(&program) || erlang::starts(program) {
        return true;
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = program.strip_prefix(VERSIONS) {
        let parts: Vec<&str> = rest.split('/').collect();
        return matches!(parts[..], [version, "bin", name] if is_number(version) && is_name(name));
    }
    program.strip_prefix(SHARED).is_some_and(|name| PROGRAMS.contains(&name))
}

/// The command that a text names, its redirections made.
///
/// # Errors
/// When the text is more than a simple command, or its program not one of the server's own.
pub fn command(text: &str) -> Result<Command> {
    let simple = parse(text)?;
    let mut command = Command::new(&simple.program);
    command.args(&simple.arguments);
    // Where the output goes at this point; none: where this process's own does.
    let mut output: Option<File> = None;
    let duplicated = |error| Failure::new(format!("cannot duplicate the output: {error}"));
    for redirection in &simple.redirections {
        match redirection {
            Redirection::Input(path) => {
                let file =
                    File::open(path).map_err(|error| files::failed("read", Path::new(path), &error))?;
                command.stdin(file);
            }
            Redirection::Output { path, append } => {
                let file = OpenOptions::new()
                    .create(true)
                    .write(true)
                    .append(*append)
                    .truncate(!append)
                    .open(path)
                    .map_err(|error| files::failed("write", Path::new(path), &error))?;
                command.stdout(file.try_clone().map_err(duplicated)?);
                output = Some(file);
            }
            Redirection::ErrorsToOutput => {
                let target = match &output {
                    Some(file) => Stdio::from(file.try_clone().map_err(duplicated)?),
                    None => Stdio::from(std::io::stdout().as_fd().try_clone_to_owned().map_err(duplicated)?),
                };
                command.stderr(target);
            }
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(program: &str, arguments: &[&str], redirections: Vec<Redirection>) -> Simple {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Simple { program: program.to_owned(), arguments, redirections }
    }

    #[test]
    fn what_servers_write() {
        let postgres = "/usr/lib/postgresql/18/bin/postgres";
        let input = || Redirection::Input("/dev/null".to_owned());
        let output = |path: &str, append| Redirection::Output { path: path.to_owned(), append };
        for (text, expected) in [
            (r#""/usr/lib/postgresql/18/bin/postgres" -V"#, simple(postgres, &["-V"], vec![])),
            (
                r#""/usr/lib/postgresql/18/bin/postgres" --check -F -c max_connections=100 < "/dev/null" > "/dev/null" 2>&1"#,
                simple(
                    postgres,
                    &["--check", "-F", "-c", "max_connections=100"],
                    vec![input(), output("/dev/null", false), Redirection::ErrorsToOutput],
                ),
            ),
            (
                r#""/usr/lib/postgresql/18/bin/postgres" --single -F template1 >/dev/null"#,
                simple(postgres, &["--single", "-F", "template1"], vec![output("/dev/null", false)]),
            ),
            (
                r#"exec "/usr/lib/postgresql/18/bin/postgres" -D "/a b" -c x='y z' < "/dev/null" >> "/log" 2>&1"#,
                simple(
                    postgres,
                    &["-D", "/a b", "-c", "x=y z"],
                    vec![input(), output("/log", true), Redirection::ErrorsToOutput],
                ),
            ),
            (
                r#""/usr/bin/pg_dump" -Fp 'user='"'"'x'"'"' dbname=y'"#,
                simple("/usr/bin/pg_dump", &["-Fp", "user='x' dbname=y"], vec![]),
            ),
            ("/usr/bin/postgres a2>/x", simple("/usr/bin/postgres", &["a2"], vec![output("/x", false)])),
            ("exec /bin/sh -s unix:cmd", simple("/bin/sh", &["-s", "unix:cmd"], vec![])),
            (
                r#""/usr/lib/erlang/erts-17.1.1/bin/epmd" -daemon"#,
                simple("/usr/lib/erlang/erts-17.1.1/bin/epmd", &["-daemon"], vec![]),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_programs_are_refused() {
        for program in [
            "/bin/ls",
            "ls",
            "postgres",
            "/usr/bin/env",
            "/usr/lib/postgresql/18/bin/../../../../bin/env",
            "/usr/lib/postgresql/18/bin/",
            "/usr/lib/postgresql/../bin/x",
            "/usr/lib/postgresql/18/lib/x",
            "/usr/bin/../bin/psql",
            "/usr/local/lib/postgresql/18/bin/postgres",
            "/usr/lib/erlang/../../bin/env",
            "sh",
            "/usr/local/bin/sh",
        ] {
            let failure = parse(program).unwrap_err();
            assert_eq!(failure.code, 127, "{program}");
        }
    }

    #[test]
    fn all_that_is_more_than_a_command_is_refused() {
        for text in [
            "/usr/bin/psql | /usr/bin/psql",
            "/usr/bin/psql; /usr/bin/psql",
            "/usr/bin/psql && /usr/bin/psql",
            "/usr/bin/psql &",
            "/usr/bin/psql $HOME",
            "/usr/bin/psql \"$HOME\"",
            "/usr/bin/psql `x`",
            "/usr/bin/psql *",
            "/usr/bin/psql 2>/x",
            "/usr/bin/psql 2>&12",
            "/usr/bin/psql >&2",
            "/usr/bin/psql <<x",
            "/usr/bin/psql <",
            "/usr/bin/psql\n/usr/bin/psql",
            "A=b /usr/bin/psql",
            "",
            "exec",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_one_way_to_ask() {
        let asked = |words: &[&str]| asked(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(asked(&["-c", "x"]).unwrap(), "x");
        assert_eq!(asked(&["-c", "--", "x"]).unwrap(), "x");
        for words in [
            &[][..],
            &["-i"],
            &["-s"],
            &["script"],
            &["-c"],
            &["-c", "x", "y"],
            &["-ec", "x"],
            &["-c", "-x", "y"],
        ] {
            assert!(asked(words).is_err(), "{words:?}");
        }
    }
}
