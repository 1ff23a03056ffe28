//! `sh -s NAME`: the commands that Erlang writes to a shell's standard input, one after the other.
//!
//! `os:cmd/1` writes `(COMMAND`, a line break and `) </dev/null; echo "END"`; RabbitMQ's watch over disks writes
//! `COMMAND < /dev/null; echo "END"`, to the same shell again and again. END is a character that a program's output does
//! not have, behind `$?` where the exit code is asked for. Nothing else is understood, and each COMMAND is one plain
//! command, as behind `-c`.

use std::io::{BufRead, Read as _, Write as _};
use std::process::Stdio;

use crate::failure::{Failure, Result};
use crate::sh;

/// The longest text of one command.
const LIMIT: usize = 1 << 20;

/// A command, and what is written when it has ended.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    command: String,
    /// Whether its exit code stands before `end`.
    code: bool,
    end: String,
}

/// Runs the commands of standard input up to its end; returns how that went.
pub fn run() -> Failure {
    let mut input = std::io::stdin().lock();
    loop {
        let asked = match next(&mut input) {
            Ok(Some(asked)) => asked,
            // As a shell ends: not a failure, and this process has nothing more to say.
            Ok(None) => std::process::exit(0),
            Err(failure) => return failure,
        };
        let code = run_one(&asked.command);
        let code = if asked.code { code.to_string() } else { String::new() };
        let mut output = std::io::stdout().lock();
        if writeln!(output, "{code}{}", asked.end).and_then(|()| output.flush()).is_err() {
            return Failure::new("nobody reads what the commands give");
        }
    }
}

/// Runs a command to its end; its exit code, as a shell has it. What cannot be run is said on standard error.
fn run_one(text: &str) -> i32 {
    let ended = sh::command(text).and_then(|mut command| {
        command.stdin(Stdio::null()).status().map_err(|error| Failure {
            code: 127,
            ..Failure::new(format!("cannot run {}: {error}", command.get_program().to_string_lossy()))
        })
    });
    match ended {
        Ok(status) => status.code().unwrap_or(128),
        Err(failure) => {
            let failure = sh::explained(failure);
            eprintln!("{failure}");
            failure.code.into()
        }
    }
}

/// The next command; none at the end of the input.
fn next(input: &mut impl BufRead) -> Result<Option<Asked>> {
    let mut text = String::new();
    loop {
        let before = text.len();
        let left = (LIMIT - before) as u64;
        let read = input.take(left).read_line(&mut text);
        read.map_err(|error| Failure::new(format!("cannot read commands: {error}")))?;
        if text.trim().is_empty() && text.len() > before {
            text.clear();
            continue;
        }
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(asked) = complete(text.trim_end_matches('\n')) {
            return Ok(Some(asked));
        }
        // A command in parentheses may have lines before the one that ends it.
        if text.len() == before || !text.starts_with('(') {
            return Err(Failure::new("only what Erlang writes to a shell is understood"));
        }
    }
}

/// A text that is a command and what ends it.
fn complete(text: &str) -> Option<Asked> {
    let (command, echo) = match text.strip_prefix('(') {
        Some(inner) => inner.rsplit_once("\n) </dev/null;")?,
        None => text.rsplit_once("< /dev/null;")?,
    };
    let quoted = echo.trim_start().strip_prefix("echo ")?.trim_start();
    let end = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let (code, end) = match end.strip_prefix("$?") {
        Some(end) => (true, end),
        None => (false, end),
    };
    let is_plain = end.chars().all(char::is_control);
    is_plain.then(|| Asked { command: command.trim().to_owned(), code, end: end.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut text: &[u8]) -> Result<Vec<Asked>> {
        let mut found = Vec::new();
        while let Some(asked) = next(&mut text)? {
            found.push(asked);
        }
        Ok(found)
    }

    fn asked(command: &str, code: bool, end: &str) -> Asked {
        Asked { command: command.to_owned(), code, end: end.to_owned() }
    }

    #[test]
    fn what_erlang_writes() {
        let disk = "/usr/bin/df -kP '/var/lib/a b' < /dev/null; echo \"\r\"\n\n";
        assert_eq!(
            all(format!("{disk}{disk}").as_bytes()).unwrap(),
            [
                asked("/usr/bin/df -kP '/var/lib/a b'", false, "\r"),
                asked("/usr/bin/df -kP '/var/lib/a b'", false, "\r")
            ]
        );
        let page = b"(getconf PAGESIZE\n) </dev/null; echo \"\x04\"\n";
        assert_eq!(all(page).unwrap(), [asked("getconf PAGESIZE", false, "\x04")]);
        let code = b"(a\nb\n) </dev/null; echo  \"$?\x04\"\n";
        assert_eq!(all(code).unwrap(), [asked("a\nb", true, "\x04")]);
        assert_eq!(all(b"\n\n").unwrap(), []);
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            &b"ls\n"[..],
            b"(ls\n",
            b"(ls) </dev/null; echo \"\x04\"\n",
            b"ls < /dev/null; echo x\n",
            b"ls < /dev/null; echo \"$HOME\"\n",
            b"ls < /dev/null; ls\n",
            b"\xff\n",
        ] {
            assert!(all(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
        assert!(all(&vec![b'a'; LIMIT + 5]).is_err());
    }

    #[test]
    fn a_command_that_may_not_run_has_an_exit_code() {
        assert_eq!(run_one("ls"), 127);
        assert_eq!(run_one("getconf PAGESIZE; getconf PAGESIZE"), 2);
        assert_eq!(run_one("getconf PAGESIZE >/dev/null"), 0);
    }
}
