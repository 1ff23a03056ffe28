//! MariaDB: an empty data directory gets its system tables, users and database, with the variables that the official
//! image reads. `MYSQL_` in place of `MARIADB_` is understood too, and `_FILE` behind each name but the switches.
//!
//! | variable | meaning |
//! |---|---|
//! | `MARIADB_ROOT_PASSWORD` | The password of `root`; or one of the next two must be given. |
//! | `MARIADB_ALLOW_EMPTY_ROOT_PASSWORD` | `1`: `root` needs none. |
//! | `MARIADB_RANDOM_ROOT_PASSWORD` | `1`: `root` gets one by chance, which is written to the log once. |
//! | `MARIADB_ROOT_HOST` | From where `root` may connect beside `localhost`; `%`, from everywhere. |
//! | `MARIADB_DATABASE` | A database to be made. |
//! | `MARIADB_USER`, `MARIADB_PASSWORD` | A user to be made, who may do everything in that database. |
//! | `MARIADB_INITDB_SKIP_TZINFO` | `1`: names of time zones are not loaded. |
//!
//! What `mariadb-install-db`, a shell script, would do is done here: the SQL files of the package go into
//! `mariadbd --bootstrap`.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{self, Server};
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::files;
use crate::first_start::FirstStart;
use crate::scripts::{self, Script};
use crate::software::{self, Asked, asked};
use crate::sql;

/// Options that the server answers without data.
const QUESTIONS: [&str; 6] = ["-?", "--help", "-V", "--version", "--verbose", "--print-defaults"];

/// Where the data lie if no option says so.
const DATA: &str = "/var/lib/mysql";

/// The socket of the initialisation's server.
const SOCKET: &str = "/tmp/mariadb-initialising.sock";

/// Where distributions keep the package's SQL files.
const SHARED: [&str; 2] = ["/usr/share/mariadb", "/usr/share/mysql"];

/// The package's SQL files that make the system tables, in their order.
const SYSTEM_TABLES: [&str; 6] = [
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "fill_help_tables.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mariadb_sys_schema.sql",
];

/// The largest of these files that is read.
const SQL_LIMIT: u64 = 64 << 20;

/// How long the server may take to start during the initialisation.
const LIMIT: Duration = Duration::from_secs(300);

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, mut arguments: Vec<OsString>) -> Failure {
    // As it was called before, and as the official image still lets it be called.
    if let Some(first) = arguments.first_mut().filter(|first| *first == "mysqld") {
        *first = "mariadbd".into();
    }
    let arguments = match asked("mariadbd", &QUESTIONS, arguments) {
        Asked::Command(words) => return software::become_other(&words),
        Asked::Server(arguments) => arguments,
    };
    match initialise(environment, &arguments) {
        Ok(data) => command::become_command(server(&arguments, &data).args(&arguments)),
        Err(failure) => failure,
    }
}

/// The server on this data directory. `--defaults-…` options must be the first ones, so none is put before them.
fn server(arguments: &[OsString], data: &Path) -> Command {
    let mut server = Command::new("mariadbd");
    if data_option(arguments).is_none() && !has_defaults(arguments) {
        server.arg("--datadir").arg(data);
    }
    server
}

fn has_defaults(arguments: &[OsString]) -> bool {
    let first = arguments.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    first.starts_with("--defaults-") || first.starts_with("--no-defaults")
}

/// The data directory that the options name.
fn data_option(arguments: &[OsString]) -> Option<PathBuf> {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let mut found = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--datadir=") {
            Some(path) => found = Some(path.into()),
            None if word == "--datadir" || word == "-h" => {
                found = words.next().map(|path| path.as_ref().into())
            }
            None => {}
        }
    }
    found
}

/// Sees to it that there are data; gives their directory.
fn initialise(environment: &Environment, arguments: &[OsString]) -> Result<PathBuf> {
    let data = data_option(arguments).unwrap_or_else(|| DATA.into());
    if let Some(first) = FirstStart::of(&data, "mysql")? {
        let settings = Settings::read(environment)?;
        let scripts = scripts::list(Path::new(scripts::DIRECTORY))?;
        eprintln!("entrypoint: making new data in {}", data.display());
        settings.make(&first.staging(), arguments)?;
        if !scripts.is_empty() {
            settings.fill(&first.staging(), arguments, &scripts)?;
        }
        first.complete()?;
        eprintln!("entrypoint: the data are complete");
    }
    Ok(data)
}

/// What new data are to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    /// None: `root` needs none.
    root_password: Option<String>,
    root_host: String,
    database: Option<String>,
    /// Name and password.
    user: Option<(String, String)>,
    time_zones: bool,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self> {
        let value =
            |name: &str| environment.first_value(&[&format!("MARIADB_{name}"), &format!("MYSQL_{name}")]);
        let root_password = match value("ROOT_PASSWORD")? {
            Some(password) => Some(password),
            None if environment.switch(&["MARIADB_RANDOM_ROOT_PASSWORD", "MYSQL_RANDOM_ROOT_PASSWORD"]) => {
                let password = random_password()?;
                eprintln!("entrypoint: GENERATED ROOT PASSWORD: {password}");
                Some(password)
            }
            None if environment.switch(&[
                "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
                "MARIADB_ALLOW_EMPTY_PASSWORD",
                "MYSQL_ALLOW_EMPTY_PASSWORD",
            ]) =>
            {
                None
            }
            None => {
                return Err(Failure::new("there are no data yet, and no password for root").hint(
                    "set MARIADB_ROOT_PASSWORD, or MARIADB_ROOT_PASSWORD_FILE; MARIADB_RANDOM_ROOT_PASSWORD=1 makes \
                     one, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 does without",
                ));
            }
        };
        let user = match (value("USER")?, value("PASSWORD")?) {
            (Some(user), _) if user == "root" => {
                return Err(Failure::new("MARIADB_USER is `root`, which there is in any case")
                    .hint("leave MARIADB_USER out, or name another user"));
            }
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => {
                return Err(Failure::new("MARIADB_USER is set, and MARIADB_PASSWORD is not").hint("set both"));
            }
            (None, Some(_)) => {
                return Err(Failure::new("MARIADB_PASSWORD is set, and MARIADB_USER is not").hint("set both"));
            }
            (None, None) => None,
        };
        Ok(Self {
            root_password,
            root_host: value("ROOT_HOST")?.unwrap_or_else(|| "%".to_owned()),
            database: value("DATABASE")?,
            user,
            time_zones: !environment.switch(&["MARIADB_INITDB_SKIP_TZINFO", "MYSQL_INITDB_SKIP_TZINFO"]),
        })
    }

    /// Makes the system tables and what the variables ask for.
    fn make(&self, data: &Path, arguments: &[OsString]) -> Result<()> {
        files::make_directory(data)?;
        files::set_mode(data, 0o700)?;
        let mut bootstrap = initialising(data, arguments);
        bootstrap.args([
            "--bootstrap",
            "--log-warnings=0",
            "--max-allowed-packet=8M",
            "--net-buffer-length=16K",
        ]);
        command::feed(bootstrap.stdout(Stdio::null()), &self.statements(data)?)
    }

    fn statements(&self, data: &Path) -> Result<String> {
        let shared = SHARED
            .iter()
            .map(Path::new)
            .find(|shared| SYSTEM_TABLES.iter().all(|name| shared.join(name).is_file()));
        let shared = shared.ok_or_else(|| {
            Failure::new(format!("the SQL files of MariaDB's package are not in {}", SHARED.join(" or ")))
        })?;
        let mut text = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n".to_owned();
        for name in SYSTEM_TABLES {
            text.push_str(&files::read_text(&shared.join(name), SQL_LIMIT)?);
            text.push('\n');
        }
        if self.time_zones {
            text.push_str(&time_zones()?);
        }
        text.push_str(&self.accounts());
        // By which mariadb-upgrade knows that there is nothing to do.
        let file = sql::string(&data.join("mariadb_upgrade_info").to_string_lossy());
        text.push_str(&format!("SELECT SUBSTRING_INDEX(VERSION(), '-', 2) INTO DUMPFILE {file};\n"));
        Ok(text)
    }

    /// The statements for users and database.
    fn accounts(&self) -> String {
        // Users can be changed once the tables are read that were just made.
        let mut text = "USE mysql;\nSET sql_mode='';\nFLUSH PRIVILEGES;\n\
                        DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';\n\
                        EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ''root''@''', LOWER(@@hostname), '''');\n"
            .to_owned();
        let mut add = |statement: String| {
            text.push_str(&statement);
            text.push_str(";\n");
        };
        let password = sql::string(self.root_password.as_deref().unwrap_or_default());
        // Dropped above where the machine bears this name.
        add("CREATE USER IF NOT EXISTS 'root'@'localhost'".to_owned());
        add("GRANT ALL ON *.* TO 'root'@'localhost' WITH GRANT OPTION".to_owned());
        add(format!("ALTER USER 'root'@'localhost' IDENTIFIED BY {password}"));
        if self.root_host != "localhost" {
            let root = format!("'root'@{}", sql::string(&self.root_host));
            add(format!("CREATE USER {root} IDENTIFIED BY {password}"));
            add(format!("GRANT ALL ON *.* TO {root} WITH GRANT OPTION"));
        }
        if let Some(database) = &self.database {
            add(format!("CREATE DATABASE IF NOT EXISTS {}", sql::name(database)));
        }
        if let Some((user, password)) = &self.user {
            let user = format!("{}@'%'", sql::string(user));
            add(format!("CREATE USER {user} IDENTIFIED BY {}", sql::string(password)));
            if let Some(database) = &self.database {
                add(format!("GRANT ALL ON {}.* TO {user}", sql::pattern(database)));
            }
        }
        text
    }

    /// Starts the server for this process alone, and runs the user's scripts.
    fn fill(&self, data: &Path, arguments: &[OsString], scripts: &[Script]) -> Result<()> {
        let mut command = initialising(data, arguments);
        command.args(["--skip-networking", "--socket", SOCKET, "--pid-file=/tmp/mariadb-initialising.pid"]);
        let running = Server::start(&mut command, LIMIT, || UnixStream::connect(SOCKET).is_ok())?;
        for script in scripts {
            match script {
                Script::Sql(path) => {
                    eprintln!("entrypoint: running {}", path.display());
                    let text =
                        std::fs::File::open(path).map_err(|error| files::failed("read", path, &error))?;
                    let mut client = self.client();
                    if let Some(database) = &self.database {
                        client.arg("--database").arg(database);
                    }
                    command::run(client.stdin(text))?;
                }
                Script::Program(path) => {
                    eprintln!("entrypoint: running {}", path.display());
                    command::run(self.connect(&mut Command::new(path)))?;
                }
            }
        }
        command::run(self.client().args(["--execute", "SHUTDOWN"]))?;
        running.ended()
    }

    fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--protocol=socket", "--user=root", "--host=localhost", "--socket", SOCKET]);
        self.connect(&mut client);
        client
    }

    /// Lets a client find the server of the initialisation.
    fn connect<'c>(&self, client: &'c mut Command) -> &'c mut Command {
        client
            .env("MYSQL_UNIX_PORT", SOCKET)
            .env("MYSQL_PWD", self.root_password.as_deref().unwrap_or_default())
    }
}

/// The server on data that are being made; its options stand behind the user's and win over them.
fn initialising(data: &Path, arguments: &[OsString]) -> Command {
    let mut server = Command::new("mariadbd");
    server.args(arguments).arg("--datadir").arg(data);
    // What is done now is not replicated, and waits for no cluster.
    server.args(["--skip-log-bin", "--loose-wsrep-on=OFF", "--enforce-storage-engine="]);
    server
}

/// The statements that make the names of time zones known; none where there are none, or no program that reads them.
fn time_zones() -> Result<String> {
    const ZONES: &str = "/usr/share/zoneinfo";
    let mut reader = Command::new("mariadb-tzinfo-to-sql");
    match reader.arg(ZONES).stderr(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Ok(output) if !Path::new(ZONES).is_dir() || output.stdout.is_empty() => Ok(String::new()),
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(Failure::new(format!("mariadb-tzinfo-to-sql failed: {}", output.status))),
        Err(error) => Err(Failure::new(format!("cannot run mariadb-tzinfo-to-sql: {error}"))),
    }
}

/// 24 characters by chance: 144 bits.
fn random_password() -> Result<String> {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    let mut bytes = [0; 24];
    let path = Path::new("/dev/urandom");
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| files::failed("read", path, &error))?;
    let character = |byte: &u8| CHARACTERS.get(usize::from(byte % 64)).map(|byte| char::from(*byte));
    Ok(bytes.iter().filter_map(character).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(&Environment::of(pairs))
    }

    #[test]
    fn something_must_be_said_about_the_password_of_root() {
        for pairs in [&[][..], &[("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "no")]] {
            assert!(settings(pairs).unwrap_err().to_string().contains("hint: set MARIADB_ROOT_PASSWORD"));
        }
        for name in ["MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "MYSQL_ALLOW_EMPTY_PASSWORD"] {
            assert_eq!(settings(&[(name, "1")]).unwrap().root_password, None);
        }
        for name in ["MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"] {
            assert_eq!(settings(&[(name, "p")]).unwrap().root_password.as_deref(), Some("p"));
        }
        let random = |_| settings(&[("MARIADB_RANDOM_ROOT_PASSWORD", "yes")]).unwrap().root_password.unwrap();
        let [one, other] = [(); 2].map(random);
        assert!(one.len() == 24 && one != other);
    }

    #[test]
    fn a_user_has_a_name_and_a_password() {
        let with = |pairs: &[(&str, &str)]| {
            let mut all = vec![("MARIADB_ROOT_PASSWORD", "p")];
            all.extend(pairs);
            settings(&all)
        };
        assert!(with(&[("MARIADB_USER", "app")]).is_err());
        assert!(with(&[("MYSQL_PASSWORD", "x")]).is_err());
        assert!(with(&[("MARIADB_USER", "root"), ("MARIADB_PASSWORD", "x")]).is_err());
        let text =
            with(&[("MARIADB_USER", "a'b"), ("MYSQL_PASSWORD", "x\\"), ("MARIADB_DATABASE", "my_app")]);
        let text = text.unwrap().accounts();
        assert!(text.contains("CREATE USER 'a\\'b'@'%' IDENTIFIED BY 'x\\\\';\n"), "{text}");
        assert!(text.contains("CREATE DATABASE IF NOT EXISTS `my_app`;\n"), "{text}");
        assert!(text.contains("GRANT ALL ON `my\\_app`.* TO 'a\\'b'@'%';\n"), "{text}");
        assert!(text.contains("CREATE USER 'root'@'%' IDENTIFIED BY 'p';\n"), "{text}");
    }

    #[test]
    fn where_the_data_lie() {
        let option = |words: &[&str]| data_option(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(option(&["--port=1"]), None);
        assert_eq!(option(&["--datadir=/a", "--datadir", "/b"]), Some("/b".into()));
    }
}
