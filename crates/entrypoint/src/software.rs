//! Which software is to be started: the first argument says so, or the name `sh`.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::{command, erlang, mariadb, nginx, postgres, rabbitmq, sh, slapd, sshd};

/// Starts what the command line names, in this process's place; returns only why not.
pub fn start(arguments: Vec<OsString>) -> Failure {
    let mut arguments = arguments.into_iter();
    let own = arguments.next().unwrap_or_default();
    if Path::new(&own).file_name().is_some_and(|name| name == "sh") {
        return sh::run(&arguments.collect::<Vec<_>>());
    }
    let environment = Environment::of_process();
    let software = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    match software.to_str() {
        Some("sh") => sh::run(&arguments),
        Some("erl") => erlang::start(arguments),
        Some("mariadb") => mariadb::start(&environment, arguments),
        Some("nginx") => nginx::start(&environment, arguments),
        Some("postgres") => postgres::start(&environment, arguments),
        Some("rabbitmq-server") => rabbitmq::start(&environment, arguments),
        Some("slapd") => slapd::start(&environment, arguments),
        Some("sshd") => sshd::start(&environment, arguments),
        _ => Failure::new(format!("no software is called `{}`", software.to_string_lossy())).hint(
            "write `entrypoint SOFTWARE [ARGUMENTS…]`; software: erl, mariadb, nginx, postgres, rabbitmq-server, slapd, sshd",
        ),
    }
}

/// Becomes a command that is not the server; returns only why not.
pub fn become_other(words: &[OsString]) -> Failure {
    match words.split_first() {
        Some((program, arguments)) => command::become_command(Command::new(program).args(arguments)),
        None => Failure::new("there is no command"),
    }
}

/// What the arguments ask for, as the well-known images read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The server with these arguments: options alone, or the server's name before them.
    Server(Vec<OsString>),
    /// Another program, or the server's own help: nothing is to be initialised.
    Command(Vec<OsString>),
}

/// Reads the arguments of an image whose server bears this name; `questions` are the options that it answers at once.
pub fn asked(server: &str, questions: &[&str], mut arguments: Vec<OsString>) -> Asked {
    let is_option = |word: &OsString| word.to_string_lossy().starts_with('-');
    let is_server = |word: &OsString| Path::new(word).file_name().is_some_and(|name| name == server);
    match arguments.first() {
        Some(first) if is_server(first) => drop(arguments.remove(0)),
        Some(first) if !is_option(first) => return Asked::Command(arguments),
        _ => {}
    }
    if arguments.iter().any(|word| questions.iter().any(|question| word == question)) {
        arguments.insert(0, server.into());
        return Asked::Command(arguments);
    }
    Asked::Server(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn what_is_asked_for() {
        let ask = |words: &[&str]| asked("postgres", &["--version"], texts(words));
        assert_eq!(ask(&[]), Asked::Server(texts(&[])));
        assert_eq!(ask(&["postgres"]), Asked::Server(texts(&[])));
        assert_eq!(ask(&["/x/postgres", "-c", "a=b"]), Asked::Server(texts(&["-c", "a=b"])));
        assert_eq!(ask(&["-c", "a=b"]), Asked::Server(texts(&["-c", "a=b"])));
        assert_eq!(ask(&["postgres", "--version"]), Asked::Command(texts(&["postgres", "--version"])));
        assert_eq!(ask(&["--version"]), Asked::Command(texts(&["postgres", "--version"])));
        assert_eq!(ask(&["psql", "-l"]), Asked::Command(texts(&["psql", "-l"])));
    }

    #[test]
    fn unknown_software() {
        let failure = start(texts(&["entrypoint", "x"])).to_string();
        assert!(failure.contains("no software is called `x`\nhint: "), "{failure}");
    }
}
