//! OpenLDAP: an empty data directory gets a configuration and a database with its first entry, an administrator and
//! users, with the variables that commonly used images read.
//!
//! | variable | meaning |
//! |---|---|
//! | `LDAP_ROOT`, `LDAP_BASE_DN` | The name under which all entries lie; `dc=example,dc=org`. |
//! | `LDAP_DOMAIN` | The same as a domain: `example.org`. |
//! | `LDAP_ORGANISATION` | The organisation's name; the first part of that name. |
//! | `LDAP_ADMIN_USERNAME` | The administrator, `cn=NAME` below it; `admin`. |
//! | `LDAP_ADMIN_PASSWORD`, `_FILE` | Its password; must be given. |
//! | `LDAP_USERS`, `LDAP_PASSWORDS`, `_FILE` | Users below `ou=users`, and a password for each, with commas between them. |
//! | `LDAP_PORT_NUMBER` | The port; 1389. |
//!
//! Files `/ldifs/*.ldif` are added after that, once. Configuration and database lie in `config` and `data` of one volume;
//! the configuration names the database by a relative path, so that both can be made in one place and moved to another.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::base64;
use crate::command;
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::files;
use crate::first_start::FirstStart;
use crate::software::{self, Asked, asked};

/// Options that the server answers at once.
const QUESTIONS: [&str; 2] = ["-V", "-VV"];

/// The volume.
const DATA: &str = "/var/lib/ldap";

/// Entries of a user's own.
const LDIFS: &str = "/ldifs";

/// Where distributions keep schemas.
const SCHEMAS: [&str; 2] = ["/etc/ldap/schema", "/etc/openldap/schema"];

/// Where distributions keep modules; one that has the database built in has none.
const MODULES: [&str; 2] = ["/usr/lib/ldap", "/usr/lib64/openldap"];

/// The largest file of entries that is read.
const LDIF_LIMIT: u64 = 1 << 30;

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, arguments: Vec<OsString>) -> Failure {
    let arguments = match asked("slapd", &QUESTIONS, arguments) {
        Asked::Command(words) => return software::become_other(&words),
        Asked::Server(arguments) => arguments,
    };
    if let Err(failure) = initialise(environment) {
        return failure;
    }
    let mut server = Command::new("slapd");
    let port = environment.get("LDAP_PORT_NUMBER").unwrap_or("1389");
    server.args(["-F", "config", "-h", &format!("ldap://:{port}/ ldapi://%2Ftmp%2Fldapi")]);
    // Its own directory, since the database's path is relative; `-d` keeps it there and in the foreground.
    if !arguments.iter().any(|word| word.to_string_lossy().starts_with("-d")) {
        server.args(["-d", "none"]);
    }
    command::become_command(server.args(arguments).current_dir(DATA))
}

fn initialise(environment: &Environment) -> Result<()> {
    let Some(first) = FirstStart::of(Path::new(DATA), "config")? else { return Ok(()) };
    let settings = Settings::read(environment)?;
    let ldifs = ldifs(Path::new(LDIFS))?;
    eprintln!("entrypoint: making a new database for {} in {DATA}", settings.root);
    let staging = first.staging();
    for name in ["config", "data"] {
        files::make_directory(&staging.join(name))?;
        files::set_mode(&staging.join(name), 0o700)?;
    }
    add(&staging, "0", &settings.configuration()?)?;
    add(&staging, "1", &settings.entries()?)?;
    for path in ldifs {
        eprintln!("entrypoint: adding {}", path.display());
        add(&staging, "1", &files::read_text(&path, LDIF_LIMIT)?)?;
    }
    first.complete()?;
    eprintln!("entrypoint: the database is complete");
    Ok(())
}

/// The files of a user's own, by their names.
fn ldifs(directory: &Path) -> Result<Vec<PathBuf>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let is_ldif = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "ldif");
    Ok(files::entries(directory)?.into_iter().filter(is_ldif).collect())
}

/// Adds entries to the configuration (`0`) or the database (`1`).
fn add(staging: &Path, database: &str, entries: &str) -> Result<()> {
    let mut slapadd = Command::new("slapadd");
    command::feed(slapadd.args(["-F", "config", "-n", database]).current_dir(staging), entries)
}

/// What a new database is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    root: String,
    organisation: String,
    admin: String,
    password: String,
    /// Names and passwords.
    users: Vec<(String, String)>,
}

impl Settings {
    fn read(environment: &Environment) -> Result<Self> {
        let password = environment.value("LDAP_ADMIN_PASSWORD")?.ok_or_else(|| {
            Failure::new("there is no database yet, and no password for its administrator")
                .hint("set LDAP_ADMIN_PASSWORD, or LDAP_ADMIN_PASSWORD_FILE")
        })?;
        let root = match (environment.first(&["LDAP_ROOT", "LDAP_BASE_DN"]), environment.get("LDAP_DOMAIN")) {
            (Some(root), _) => root.to_owned(),
            (None, Some(domain)) => {
                domain.split('.').map(|part| format!("dc={part}")).collect::<Vec<_>>().join(",")
            }
            (None, None) => "dc=example,dc=org".to_owned(),
        };
        let (_, first) = first_part(&root)?;
        let list = |name: &str| -> Result<Vec<String>> {
            let text = environment.value(name)?.unwrap_or_default();
            Ok(text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect())
        };
        let (users, passwords) = (list("LDAP_USERS")?, list("LDAP_PASSWORDS")?);
        if users.len() != passwords.len() {
            return Err(Failure::new(format!(
                "LDAP_USERS names {}, and LDAP_PASSWORDS {}",
                users.len(),
                passwords.len()
            ))
            .hint("give one password for each user, with commas between them"));
        }
        Ok(Self {
            organisation: environment
                .first(&["LDAP_ORGANISATION", "LDAP_ORGANIZATION"])
                .map_or_else(|| first.to_owned(), str::to_owned),
            admin: environment.get("LDAP_ADMIN_USERNAME").unwrap_or("admin").to_owned(),
            root,
            password,
            users: users.into_iter().zip(passwords).collect(),
        })
    }

    /// The entries of the configuration (slapd-config(5)).
    fn configuration(&self) -> Result<String> {
        let found = |places: &[&'static str]| places.iter().copied().find(|place| Path::new(place).is_dir());
        let schemas = found(&SCHEMAS)
            .ok_or_else(|| Failure::new(format!("OpenLDAP's schemas are not in {}", SCHEMAS.join(" or "))))?;
        let mut text = "dn: cn=config\nobjectClass: olcGlobal\ncn: config\nolcLogLevel: none\n\n".to_owned();
        if let Some(modules) = found(&MODULES) {
            text.push_str("dn: cn=module{0},cn=config\nobjectClass: olcModuleList\ncn: module{0}\n");
            text.push_str(&format!("olcModulePath: {modules}\nolcModuleLoad: back_mdb\n\n"));
        }
        text.push_str("dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n");
        for schema in ["core", "cosine", "nis", "inetorgperson"] {
            text.push_str(&format!("include: file://{schemas}/{schema}.ldif\n"));
        }
        text.push_str(
            "\ndn: olcDatabase={-1}frontend,cn=config\nobjectClass: olcDatabaseConfig\n\
             objectClass: olcFrontendConfig\nolcDatabase: {-1}frontend\nolcSizeLimit: 500\n\
             olcAccess: {0}to dn.exact=\"\" by * read\nolcAccess: {1}to dn.base=\"cn=Subschema\" by * read\n\n",
        );
        let (admin, password) =
            (value("olcRootDN", &self.admin_name()), value("olcRootPW", &hash(&self.password)?));
        text.push_str(
            "dn: olcDatabase={0}config,cn=config\nobjectClass: olcDatabaseConfig\nolcDatabase: {0}config\n",
        );
        // The configuration can be changed while the server runs, by the same administrator.
        text.push_str(&format!(
            "{}olcAccess: {{0}}to * by dn.exact={} manage by * none\n\n",
            value("olcRootDN", "cn=config"),
            quoted(&self.admin_name())
        ));
        text.push_str(
            "dn: olcDatabase={1}mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n",
        );
        text.push_str("olcDatabase: {1}mdb\nolcDbDirectory: data\nolcDbMaxSize: 1073741824\n");
        text.push_str(&format!("{}{admin}{password}", value("olcSuffix", &self.root)));
        text.push_str(
            "olcDbIndex: objectClass eq\nolcDbIndex: cn,uid eq,sub\nolcDbIndex: uidNumber,gidNumber eq\n\
             olcDbIndex: member,memberUid eq\nolcLastMod: TRUE\n\
             olcAccess: {0}to attrs=userPassword by self write by anonymous auth by * none\n\
             olcAccess: {1}to attrs=shadowLastChange by self write by * read\nolcAccess: {2}to * by * read\n",
        );
        Ok(text)
    }

    /// The first entries of the database.
    fn entries(&self) -> Result<String> {
        let (attribute, first) = first_part(&self.root)?;
        let mut text = value("dn", &self.root);
        text.push_str("objectClass: top\n");
        match attribute {
            "ou" => text.push_str("objectClass: organizationalUnit\n"),
            "dc" => {
                text.push_str("objectClass: dcObject\nobjectClass: organization\n");
                text.push_str(&value("o", &self.organisation));
            }
            _ => text.push_str("objectClass: organization\n"),
        }
        text.push_str(&value(attribute, first));
        if self.users.is_empty() {
            return Ok(text);
        }
        text.push('\n');
        text.push_str(&value("dn", &format!("ou=users,{}", self.root)));
        text.push_str("objectClass: organizationalUnit\nou: users\n");
        for (name, password) in &self.users {
            text.push('\n');
            text.push_str(&value("dn", &format!("uid={},ou=users,{}", escaped(name), self.root)));
            text.push_str("objectClass: inetOrgPerson\n");
            for attribute in ["uid", "cn", "sn"] {
                text.push_str(&value(attribute, name));
            }
            text.push_str(&value("userPassword", &hash(password)?));
        }
        Ok(text)
    }

    fn admin_name(&self) -> String {
        format!("cn={},{}", escaped(&self.admin), self.root)
    }
}

/// The attribute and value with which a name starts: of `dc=example,dc=org` they are `dc` and `example`.
fn first_part(root: &str) -> Result<(&'static str, &str)> {
    let first = root.split(',').next().unwrap_or_default();
    let (attribute, value) = first.split_once('=').unwrap_or_default();
    let known = ["dc", "o", "ou"].into_iter().find(|known| attribute.trim().eq_ignore_ascii_case(known));
    match known {
        Some(known) if !value.trim().is_empty() => Ok((known, value.trim())),
        _ => Err(Failure::new(format!("`{root}` is no name that a directory can start with"))
            .hint("set LDAP_ROOT to one that starts with `dc=`, `o=` or `ou=`: `dc=example,dc=org`")),
    }
}

/// A line of LDIF (RFC 2849), whatever the value.
fn value(attribute: &str, value: &str) -> String {
    format!("{attribute}:: {}\n", base64::encode(value))
}

/// A value inside of a name (RFC 4514, section 2.4).
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for (place, character) in value.char_indices() {
        let edge = place == 0 || place + character.len_utf8() == value.len();
        if ",+\"\\<>;=".contains(character) || (edge && " #".contains(character)) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A name as a rule of access quotes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A password as the database keeps it: slappasswd reads it, so that it is in no list of processes.
fn hash(password: &str) -> Result<String> {
    let mut slappasswd = Command::new("slappasswd");
    slappasswd.args(["-n", "-T", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |error| Failure::new(format!("cannot run slappasswd: {error}"));
    let mut child = slappasswd.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, password.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::new(format!("slappasswd failed: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        let mut all = vec![("LDAP_ADMIN_PASSWORD", "p")];
        all.extend(pairs);
        Settings::read(&Environment::of(&all))
    }

    #[test]
    fn the_names_by_which_the_variables_are_known() {
        assert!(
            Settings::read(&Environment::default()).unwrap_err().to_string().contains("LDAP_ADMIN_PASSWORD")
        );
        assert_eq!(settings(&[]).unwrap().root, "dc=example,dc=org");
        for pair in [("LDAP_ROOT", "dc=a,dc=b"), ("LDAP_BASE_DN", "dc=a,dc=b"), ("LDAP_DOMAIN", "a.b")] {
            let settings = settings(&[pair]).unwrap();
            assert_eq!((settings.root.as_str(), settings.organisation.as_str()), ("dc=a,dc=b", "a"));
        }
        assert_eq!(
            settings(&[("LDAP_ADMIN_USERNAME", "a,b")]).unwrap().admin_name(),
            "cn=a\\,b,dc=example,dc=org"
        );
        assert!(settings(&[("LDAP_ROOT", "cn=x")]).is_err());
        assert!(settings(&[("LDAP_USERS", "a,b"), ("LDAP_PASSWORDS", "x")]).is_err());
        let users = settings(&[("LDAP_USERS", "a,b"), ("LDAP_PASSWORDS", "x,y")]).unwrap().users;
        assert_eq!(users, [("a".into(), "x".into()), ("b".into(), "y".into())]);
    }

    #[test]
    fn the_first_entry() {
        let entry = |root: &str| settings(&[("LDAP_ROOT", root)]).unwrap().entries().unwrap();
        let dc = entry("dc=example,dc=org");
        assert!(dc.starts_with("dn:: ZGM9ZXhhbXBsZSxkYz1vcmc=\n") && dc.contains("dcObject"), "{dc}");
        assert!(dc.ends_with("o:: ZXhhbXBsZQ==\ndc:: ZXhhbXBsZQ==\n"), "{dc}");
        assert!(entry("o=Example").ends_with("objectClass: organization\no:: RXhhbXBsZQ==\n"));
        assert!(entry("OU=x,o=y").ends_with("objectClass: organizationalUnit\nou:: eA==\n"));
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped(" #a,b=c\\ "), "\\ #a\\,b\\=c\\\\\\ ");
        assert_eq!(quoted("cn=a\\,b"), "\"cn=a\\\\,b\"");
    }
}
