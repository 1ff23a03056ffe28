//! PostgreSQL: an empty data directory becomes a cluster, with the variables that the official image reads.
//!
//! | variable | meaning |
//! |---|---|
//! | `POSTGRES_PASSWORD`, `_FILE` | The superuser's password; must be given, but for `trust`. |
//! | `POSTGRES_USER`, `_FILE` | The superuser; `postgres`. |
//! | `POSTGRES_DB`, `_FILE` | The first database; as the superuser. |
//! | `POSTGRES_INITDB_ARGS`, `_FILE` | More options of initdb, quoted as for a shell. |
//! | `POSTGRES_INITDB_WALDIR` | Where the log of transactions is kept, if not with the data. |
//! | `POSTGRES_HOST_AUTH_METHOD` | How other machines prove who they are; as passwords are stored, `scram-sha-256`. |
//! | `PGDATA` | The data directory. |

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Server};
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::files;
use crate::first_start::FirstStart;
use crate::scripts::{self, Script};
use crate::software::{self, Asked, asked};
use crate::words;

/// Options that the server answers without a cluster.
const QUESTIONS: [&str; 5] = ["-?", "--help", "--describe-config", "-V", "--version"];

/// The directory of the socket: the compiled-in one is below /run, which a read-only root does not have.
const SOCKETS: &str = "/tmp";

/// How long the server may take to start, and to stop, during the initialisation.
const LIMIT: Duration = Duration::from_secs(300);

/// The largest part of `pg_hba.conf` that is read.
const HBA_LIMIT: u64 = 1 << 20;

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, arguments: Vec<OsString>) -> Failure {
    let arguments = match asked("postgres", &QUESTIONS, arguments) {
        Asked::Command(words) => return software::become_other(&words),
        Asked::Server(arguments) => arguments,
    };
    match initialise(environment, &arguments) {
        Ok(data) => command::become_command(server(&data).args(&arguments)),
        Err(failure) => failure,
    }
}

/// The server on this data directory. Options behind these win over them.
fn server(data: &Path) -> Command {
    let mut command = Command::new("postgres");
    command.arg("-D").arg(data).args(["-c", &format!("unix_socket_directories={SOCKETS}")]);
    command
}

/// Sees to it that there is a cluster; gives its directory.
fn initialise(environment: &Environment, arguments: &[OsString]) -> Result<PathBuf> {
    let data = environment.get("PGDATA").ok_or_else(|| {
        Failure::new("PGDATA is not set").hint("set it to the directory that holds the cluster")
    })?;
    let data = PathBuf::from(data);
    if let Some(first) = FirstStart::of(&data, "PG_VERSION")? {
        let settings = Settings::read(environment)?;
        let scripts = scripts::list(Path::new(scripts::DIRECTORY))?;
        eprintln!("entrypoint: making a new cluster in {}", data.display());
        settings.make(&first.staging())?;
        settings.fill(&first.staging(), arguments, &scripts)?;
        first.complete()?;
        eprintln!("entrypoint: the cluster is complete");
    }
    // The server starts only where nobody else can read.
    if !matches!(files::mode(&data)?, 0o700 | 0o750) {
        files::set_mode(&data, 0o700)?;
    }
    Ok(data)
}

/// What a new cluster is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    user: String,
    password: Option<String>,
    database: String,
    options: Vec<String>,
    log_directory: Option<String>,
    host_method: Option<String>,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self> {
        let password = environment.value("POSTGRES_PASSWORD")?;
        let host_method = environment.get("POSTGRES_HOST_AUTH_METHOD").map(str::to_owned);
        if password.is_none() && host_method.as_deref() != Some("trust") {
            return Err(Failure::new("there is no cluster yet, and no password for its superuser").hint(
                "set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE; POSTGRES_HOST_AUTH_METHOD=trust lets everyone in \
                 without one",
            ));
        }
        let user = environment.value("POSTGRES_USER")?.unwrap_or_else(|| "postgres".to_owned());
        let options = environment.value("POSTGRES_INITDB_ARGS")?.unwrap_or_default();
        let options = words::words(&options).map_err(|failure| Failure {
            message: format!("POSTGRES_INITDB_ARGS: {}", failure.message),
            ..failure
        })?;
        Ok(Self {
            database: environment.value("POSTGRES_DB")?.unwrap_or_else(|| user.clone()),
            user,
            password,
            options,
            log_directory: environment.value("POSTGRES_INITDB_WALDIR")?,
            host_method,
        })
    }

    /// Makes the cluster.
    fn make(&self, data: &Path) -> Result<()> {
        let mut initdb = Command::new("initdb");
        initdb.arg("-D").arg(data).arg(format!("--username={}", self.user));
        initdb.args(["--set", "listen_addresses=*"]);
        if let Some(directory) = &self.log_directory {
            initdb.arg(format!("--waldir={directory}"));
        }
        initdb.args(&self.options);
        match &self.password {
            // Its other end is in nobody's list of processes or files.
            Some(password) => {
                command::feed(initdb.arg("--pwfile=/dev/stdin"), &format!("{password}\n"))?;
            }
            None => command::feed(&mut initdb, "")?,
        }
        let path = data.join("pg_hba.conf");
        let rules = files::read_text(&path, HBA_LIMIT)?;
        files::write(&path, &with_host_rule(&rules, self.host_method.as_deref()), 0o600)
    }

    /// Starts the server for this process alone, makes the database and runs the user's scripts.
    fn fill(&self, data: &Path, arguments: &[OsString], scripts: &[Script]) -> Result<()> {
        let default = self.database == "postgres";
        if default && scripts.is_empty() {
            return Ok(());
        }
        let mut command = server(data);
        // No other machine gets in before all is done.
        command.args(arguments).args(["-c", "listen_addresses=", "-p", "5432"]);
        let lock = data.join("postmaster.pid");
        let running = Server::start(&mut command, LIMIT, || is_ready(&lock))?;
        if !default {
            let query = "SELECT count(*) = 0 AS missing FROM pg_database WHERE datname = :'name' \\gset\n\
                         \\if :missing\nCREATE DATABASE :\"name\";\n\\endif\n";
            let mut psql = self.psql("postgres");
            command::feed(psql.arg("--set").arg(format!("name={}", self.database)), query)?;
        }
        for script in scripts {
            match script {
                Script::Sql(path) => {
                    eprintln!("entrypoint: running {}", path.display());
                    command::run(self.psql(&self.database).arg("--file").arg(path))?;
                }
                Script::Program(path) => {
                    eprintln!("entrypoint: running {}", path.display());
                    let mut program = Command::new(path);
                    command::run(self.connect(&mut program).env("PGDATA", data))?;
                }
            }
        }
        let mut stop = Command::new("pg_ctl");
        let seconds = LIMIT.as_secs().to_string();
        command::run(stop.arg("-D").arg(data).args(["-m", "fast", "-w", "-t", &seconds, "stop"]))?;
        running.ended()
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["--set", "ON_ERROR_STOP=1", "--no-psqlrc", "--no-password", "--quiet"]);
        psql.args(["--username", &self.user, "--dbname", database]);
        self.connect(&mut psql);
        psql
    }

    /// Lets a client find the server of the initialisation.
    fn connect<'c>(&self, client: &'c mut Command) -> &'c mut Command {
        client.env("PGHOST", SOCKETS).env("PGPORT", "5432").env_remove("PGHOSTADDR");
        match &self.password {
            // For where even local connections need it.
            Some(password) => client.env("PGPASSWORD", password),
            None => client,
        }
    }
}

/// Whether the server's lock file says that it accepts connections: its eighth line, as pg_ctl reads it.
fn is_ready(lock: &Path) -> bool {
    let text = std::fs::read_to_string(lock).unwrap_or_default();
    text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// `pg_hba.conf` with a rule for other machines. Passwords are checked as they are stored, if nothing else is said.
fn with_host_rule(rules: &str, method: Option<&str>) -> String {
    let method = method.unwrap_or("scram-sha-256");
    let warning = match method {
        "trust" => "# `trust` lets everyone in who can reach the port, as any user, without a password.\n",
        _ => "",
    };
    format!(
        "{rules}\n# For other machines, as POSTGRES_HOST_AUTH_METHOD said.\n{warning}host all all all {method}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_must_be_given() {
        for pairs in [&[][..], &[("POSTGRES_PASSWORD", "")], &[("POSTGRES_HOST_AUTH_METHOD", "md5")]] {
            let failure = Settings::read(&Environment::of(pairs)).unwrap_err().to_string();
            assert!(failure.contains("hint: set POSTGRES_PASSWORD"), "{failure}");
        }
        let trust = Settings::read(&Environment::of(&[("POSTGRES_HOST_AUTH_METHOD", "trust")])).unwrap();
        assert_eq!(
            (trust.password, trust.user.as_str(), trust.database.as_str()),
            (None, "postgres", "postgres")
        );
    }

    #[test]
    fn the_database_is_named_after_the_user() {
        let settings = |more: &[(&str, &str)]| {
            let mut pairs = vec![("POSTGRES_PASSWORD", "p"), ("POSTGRES_USER", "app")];
            pairs.extend(more);
            Settings::read(&Environment::of(&pairs)).unwrap()
        };
        assert_eq!(settings(&[]).database, "app");
        assert_eq!(settings(&[("POSTGRES_DB", "other")]).database, "other");
        let options =
            settings(&[("POSTGRES_INITDB_ARGS", "--locale-provider=icu '--icu-locale=de AT'")]).options;
        assert_eq!(options, ["--locale-provider=icu", "--icu-locale=de AT"]);
        let bad = [("POSTGRES_PASSWORD", "p"), ("POSTGRES_INITDB_ARGS", "$(x)")];
        let failure = Settings::read(&Environment::of(&bad)).unwrap_err().to_string();
        assert!(failure.contains("POSTGRES_INITDB_ARGS: `$`"), "{failure}");
    }

    #[test]
    fn the_rule_for_other_machines_comes_last() {
        assert!(
            with_host_rule("local all all trust\n", None).ends_with("\nhost all all all scram-sha-256\n")
        );
        let trust = with_host_rule("", Some("trust"));
        assert!(trust.contains("without a password") && trust.ends_with("host all all all trust\n"));
    }

    #[test]
    fn readiness() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("postmaster.pid");
        assert!(!is_ready(&lock));
        std::fs::write(&lock, "1\n2\n3\n4\n5\n6\n7\nstarting\n").unwrap();
        assert!(!is_ready(&lock));
        std::fs::write(&lock, "1\n2\n3\n4\n5\n6\n7\nready   \n").unwrap();
        assert!(is_ready(&lock));
    }
}
