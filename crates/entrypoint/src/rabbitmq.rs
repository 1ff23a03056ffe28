//! RabbitMQ: what its start scripts do. The variables are the scripts' own, and those that Erlang reads are passed on.
//!
//! | variable | meaning |
//! |---|---|
//! | `RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS` | More arguments of the emulator. |
//! | `RABBITMQ_SERVER_ERL_ARGS` | Its arguments, in place of those below. |
//! | `RABBITMQ_MAX_NUMBER_OF_PROCESSES`, `RABBITMQ_MAX_NUMBER_OF_ATOMS` | `+P` and `+t`. |
//! | `RABBITMQ_SCHEDULER_BIND_TYPE`, `RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD` | `+stbt` and `+sbwt…`. |
//! | `RABBITMQ_DISTRIBUTION_BUFFER_SIZE` | `+zdbbl`. |
//! | `RABBITMQ_CTL_ERL_ARGS`, `RABBITMQ_CTL_DIST_PORT_MIN`, `RABBITMQ_CTL_DIST_PORT_MAX` | The same of the tools. |

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::{command, erlang, files};

/// The programs beside the server.
pub const TOOLS: [&str; 6] = [
    "rabbitmq-diagnostics",
    "rabbitmq-plugins",
    "rabbitmq-queues",
    "rabbitmq-streams",
    "rabbitmq-upgrade",
    "rabbitmqctl",
];

/// Where the directory of the version lies.
const SERVERS: &str = "/usr/lib/rabbitmq/lib";

/// A shell script that the scripts would read.
const SCRIPT: &str = "/etc/rabbitmq/rabbitmq-env.conf";

/// How memory is asked of the system, as the scripts have it.
const ALLOCATORS: &str = "+MBas ageffcbf +MHas ageffcbf +MBlmbcs 512 +MHlmbcs 512 +MMmcs 30";

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, arguments: Vec<OsString>) -> Failure {
    let started = prepared(environment, Path::new(SERVERS), Path::new(SCRIPT)).and_then(|home| {
        let mut command = erlang::command()?;
        set(&mut command, environment, &home);
        Ok(command)
    });
    match started {
        Ok(mut command) => {
            command::become_command(command.args(server_arguments(environment)).args(arguments))
        }
        Err(failure) => failure,
    }
}

/// Becomes one of [`TOOLS`]; returns only why not.
pub fn tool(environment: &Environment, name: &str, arguments: Vec<OsString>) -> Failure {
    let home = match prepared(environment, Path::new(SERVERS), Path::new(SCRIPT)) {
        Ok(home) => home,
        Err(failure) => return failure,
    };
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Command::new("escript");
    command.arg(home.join("escript").join(name)).args(arguments);
    set(&mut command, environment, &home);
    command.env("ERL_FLAGS", tool_flags(environment, reads_input(&words)));
    command::become_command(&mut command)
}

/// The directory of the server, when all that was asked for can be had.
fn prepared(environment: &Environment, servers: &Path, script: &Path) -> Result<PathBuf> {
    if script.exists() {
        return Err(Failure::new(format!("{} is a shell script, and there is no shell", script.display()))
            .hint("give its variables to the container, with RABBITMQ_ before their names"));
    }
    if environment.get("RABBITMQ_MAX_OPEN_FILES").is_some() {
        return Err(Failure::new("RABBITMQ_MAX_OPEN_FILES cannot be set from inside of the container")
            .hint("set the limit of the container (podman: `--ulimit nofile=NUMBER`)"));
    }
    let entries = std::fs::read_dir(servers).map_err(|error| files::failed("read", servers, &error))?;
    let home = entries.filter_map(|entry| Some(entry.ok()?.path())).max();
    home.ok_or_else(|| Failure::new(format!("there is no RabbitMQ in {}", servers.display())))
}

/// Sets the variables that Erlang's part of RabbitMQ reads.
fn set(command: &mut Command, environment: &Environment, home: &Path) {
    let plugins = home.join("plugins").display().to_string();
    let libraries = match environment.get("ERL_LIBS") {
        Some(more) => format!("{plugins}:{more}"),
        None => plugins,
    };
    command.env("ERL_LIBS", libraries);
    command.env("RABBITMQ_HOME", home).env("RABBITMQ_SCRIPTS_DIR", home.join("sbin"));
    for (name, value) in [("ERL_MAX_ETS_TABLES", "50000"), ("ERL_MAX_PORTS", "65536")] {
        command.env(name, environment.get(name).unwrap_or(value));
    }
}

fn server_arguments(environment: &Environment) -> Vec<String> {
    let value = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    let busy = value("RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD", "none");
    let emulator = format!(
        "+pc unicode +P {} +t {} +stbt {} +zdbbl {} +sbwt {busy} +sbwtdcpu {busy} +sbwtdio {busy}",
        value("RABBITMQ_MAX_NUMBER_OF_PROCESSES", "1048576"),
        value("RABBITMQ_MAX_NUMBER_OF_ATOMS", "5000000"),
        value("RABBITMQ_SCHEDULER_BIND_TYPE", "db"),
        value("RABBITMQ_DISTRIBUTION_BUFFER_SIZE", "128000"),
    );
    let mut words: Vec<String> = Vec::new();
    let mut add = |text: &str| words.extend(text.split_whitespace().map(str::to_owned));
    if let Some(path) = environment.get("RABBITMQ_SERVER_CODE_PATH") {
        add(&format!("-pa {path}"));
    }
    if environment.get("RABBITMQ_ALLOW_INPUT").is_none() {
        add("-noinput");
    }
    if environment.get("RABBITMQ_NODE_ONLY").is_none() {
        add(&format!("-s {} boot", value("RABBITMQ_BOOT_MODULE", "rabbit")));
    }
    add("-boot start_sasl +W w");
    add(ALLOCATORS);
    add(&value("RABBITMQ_SERVER_ERL_ARGS", &emulator));
    add(&value("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ""));
    add(&value("RABBITMQ_SERVER_START_ARGS", ""));
    add("-syslog logger [] -syslog syslog_error_logger false -kernel prevent_overlapping_partitions false");
    words
}

fn tool_flags(environment: &Environment, input: bool) -> String {
    let value = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    let least = value("RABBITMQ_CTL_DIST_PORT_MIN", "35672");
    let ten_more = least.parse::<u32>().map_or_else(|_| least.clone(), |port| (port + 10).to_string());
    let most = value("RABBITMQ_CTL_DIST_PORT_MAX", &ten_more);
    format!(
        "{}-boot start_clean {} -kernel inet_dist_listen_min {least} -kernel inet_dist_listen_max {most}",
        if input { "" } else { "-noinput " },
        value("RABBITMQ_CTL_ERL_ARGS", ""),
    )
}

/// Whether a tool reads its standard input: passwords and definitions that are not among the arguments, and shells.
fn reads_input(words: &[String]) -> bool {
    let is = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    if is(&["help", "--help"]) {
        return false;
    }
    is(&["decode", "encode", "observer", "remote_shell"])
        || (is(&["eval", "hash_password", "import_definitions"]) && words.len() == 1)
        || (is(&["add_user", "authenticate_user", "change_password"]) && words.len() == 2)
        || (is(&["add_user"]) && is(&["--pre-hashed-password"]) && words.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_server() {
        let of = |pairs: &[(&str, &str)]| server_arguments(&Environment::of(pairs)).join(" ");
        let plain = of(&[]);
        assert!(
            plain.starts_with("-noinput -s rabbit boot -boot start_sasl +W w +MBas ageffcbf "),
            "{plain}"
        );
        assert!(plain.contains(" +P 1048576 +t 5000000 +stbt db +zdbbl 128000 +sbwt none "), "{plain}");
        let more = of(&[("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit  log [] +S 1")]);
        assert!(more.contains(" +sbwtdio none -rabbit log [] +S 1 -syslog "), "{more}");
        let other = of(&[("RABBITMQ_SERVER_ERL_ARGS", "+P 9"), ("RABBITMQ_NODE_ONLY", "1")]);
        assert!(other.contains(" +P 9 -syslog ") && !other.contains("-s rabbit"), "{other}");
    }

    #[test]
    fn flags_of_the_tools() {
        let flags = |pairs: &[(&str, &str)], input| tool_flags(&Environment::of(pairs), input);
        assert_eq!(
            flags(&[], false),
            "-noinput -boot start_clean  -kernel inet_dist_listen_min 35672 -kernel inet_dist_listen_max 35682"
        );
        assert!(
            flags(&[("RABBITMQ_CTL_DIST_PORT_MIN", "1")], true)
                .ends_with("min 1 -kernel inet_dist_listen_max 11")
        );
    }

    #[test]
    fn what_reads_its_input() {
        let reads = |text: &str| reads_input(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for text in ["add_user bob", "add_user bob --pre-hashed-password", "eval", "-q remote_shell"] {
            assert!(reads(text), "{text}");
        }
        for text in ["add_user bob secret", "eval node().", "status", "help add_user", "list_queues"] {
            assert!(!reads(text), "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_be_needed_for_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let servers = directory.path().join("lib");
        let script = directory.path().join("rabbitmq-env.conf");
        std::fs::create_dir_all(servers.join("rabbitmq_server-4.3")).unwrap();
        let prepared = |pairs: &[(&str, &str)]| prepared(&Environment::of(pairs), &servers, &script);
        assert_eq!(prepared(&[]).unwrap(), servers.join("rabbitmq_server-4.3"));
        let limit = prepared(&[("RABBITMQ_MAX_OPEN_FILES", "9")]).unwrap_err().to_string();
        assert!(limit.contains("--ulimit"), "{limit}");
        std::fs::write(&script, "NODENAME=x").unwrap();
        let failure = prepared(&[]).unwrap_err().to_string();
        assert!(failure.contains("shell script") && failure.contains("RABBITMQ_ before"), "{failure}");
    }
}
