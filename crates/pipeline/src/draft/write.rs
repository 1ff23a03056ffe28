//! A definition out of what was found in a package, as text for a person to go on from.

use std::fmt::Write as _;

use calypte_base::PackageFormat;
use calypte_definition::Category;
use calypte_formats::systemd_service::Service;

use super::look::Found;

/// What the definition is to be about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The family.
    pub family: &'a str,
    /// The package.
    pub package: &'a str,
    /// Its format.
    pub format: PackageFormat,
    /// The upstream version of the package.
    pub version: &'a str,
    /// The universe that it was found in.
    pub universe: &'a str,
    /// The image to stand on; none where the catalog has none that fits.
    pub parent: Option<&'a str>,
    /// The variants of that image to have too.
    pub variants: &'a [String],
    /// Whether endoflife.date's product of this name is among the catalog's days.
    pub has_days: bool,
}

/// How containers of the image start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Found {
    /// The service that the image is for: the one that bears the package's or the family's name, else the only one.
    #[must_use]
    pub fn service(&self, subject: &Subject<'_>) -> Option<&Service> {
        let starts = |service: &&Service| !service.command.is_empty() && !service.is_template();
        let named = [subject.package, subject.family]
            .iter()
            .find_map(|name| self.services.get(&format!("{name}.service")).filter(starts));
        let mut others = self.services.values().filter(starts);
        named.or_else(|| others.next().filter(|_| others.next().is_none()))
    }

    /// How it starts: as its service does; else the program that bears its name; else the only program.
    #[must_use]
    pub fn start(&self, subject: &Subject<'_>) -> Option<Start> {
        if let Some((program, arguments)) =
            self.service(subject).and_then(|service| service.command.split_first())
        {
            return Some(Start { program: program.clone(), arguments: arguments.to_vec() });
        }
        let is = |program: &&String, name: &str| program.rsplit('/').next() == Some(name);
        let named = [subject.package, subject.family]
            .iter()
            .find_map(|name| self.programs.iter().find(|program| is(program, name)));
        let mut all = self.programs.iter();
        let program = named.or_else(|| all.next().filter(|_| all.next().is_none()))?;
        Some(Start { program: program.clone(), arguments: Vec::new() })
    }

    /// The ports that the image can listen on: those below 1024 need a capability.
    pub fn free_ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied().filter(|port| *port >= 1024)
    }

    /// The directories whose content outlives a container.
    #[must_use]
    pub fn volumes(&self, subject: &Subject<'_>) -> Vec<String> {
        let Some(service) = self.service(subject) else { return Vec::new() };
        let state = service.state.iter().filter(|name| !name.contains('/'));
        let mut volumes: Vec<String> = state.map(|name| format!("/var/lib/{name}")).collect();
        volumes.extend(self.state.iter().filter(|path| !volumes.contains(path)).cloned().collect::<Vec<_>>());
        volumes
    }

    /// The shelf of the catalog.
    fn category(&self, subject: &Subject<'_>) -> Category {
        match self.section.as_str() {
            "web" | "httpd" => Category::Web,
            "database" => Category::Database,
            "net" | "mail" if self.service(subject).is_some() => Category::Network,
            "interpreters" | "python" | "java" | "javascript" | "ruby" | "perl" | "php" | "lisp"
            | "haskell" => Category::Runtime,
            _ => Category::Tool,
        }
    }
}

/// The definition.
#[must_use]
pub fn definition(subject: &Subject<'_>, found: &Found) -> String {
    let Subject { family, package, format, universe, .. } = *subject;
    let start = found.start(subject);
    let mut text = "# yaml-language-server: $schema=../schema/image.schema.json\n".to_owned();
    let _ = write!(
        text,
        "image: {family}\ntitle: {}\ndescription: {}\ncategory: {}\n",
        scalar(family),
        scalar(&described(found, package)),
        found.category(subject)
    );
    for (key, value) in [("url", &found.url), ("licenses", &found.licences)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key}: {}", scalar(value));
        }
    }
    if let Some(parent) = subject.parent {
        let _ = writeln!(text, "from: {parent}");
    }
    let kind = match format {
        PackageFormat::Deb => "deb",
        PackageFormat::Rpm => "rpm",
    };
    let _ = write!(text, "universes: [{universe}]\n\npackages:\n  {kind}: [{}]\n", scalar(package));
    let volumes = found.volumes(subject);
    if !volumes.is_empty() {
        text.push_str("\nfs:\n");
        for volume in &volumes {
            let _ = write!(text, "  - dir: {}\n    owner: user\n", scalar(volume));
        }
    }
    if let Some(start) = &start {
        text.push_str(&run(start, found, &volumes));
    }
    let _ = write!(
        text,
        "\nversion-of: {{{kind}: {}}}\ntags: [\"{{version}}\", \"{{major}}.{{minor}}\", \"{{major}}\", latest]\n",
        scalar(package)
    );
    if subject.has_days {
        let _ = writeln!(text, "eol: endoflife:{family}");
    }
    if !subject.variants.is_empty() {
        text.push_str("\nvariants:\n");
        for variant in subject.variants {
            let _ = writeln!(text, "  {variant}: {{}}");
        }
    }
    text.push_str(&tests(subject, found, start.as_ref(), &volumes));
    text
}

fn described(found: &Found, package: &str) -> String {
    let summary = found.summary.trim().trim_end_matches('.');
    if summary.is_empty() { format!("{package}.") } else { format!("{}.", crate::readme::sentence(summary)) }
}

fn run(start: &Start, found: &Found, volumes: &[String]) -> String {
    let mut text = format!("\nrun:\n  entrypoint: [{}]\n", scalar(&start.program));
    if !start.arguments.is_empty() {
        let _ = writeln!(text, "  cmd: [{}]", list(&start.arguments));
    }
    let ports: Vec<String> = found.free_ports().map(|port| format!("{port}/tcp")).collect();
    if !ports.is_empty() {
        let _ = writeln!(text, "  ports: [{}]", ports.join(", "));
    }
    if !volumes.is_empty() {
        let _ = writeln!(text, "  volumes: [{}]", list(volumes));
    }
    text
}

/// The first tests: that the program is the one of the package, and that the service opens its ports.
fn tests(subject: &Subject<'_>, found: &Found, start: Option<&Start>, volumes: &[String]) -> String {
    let Some(start) = start else {
        let paths: Vec<String> = found.programs.iter().take(8).cloned().collect();
        if paths.is_empty() {
            return String::new();
        }
        return format!(
            "\ntests:\n  - name: has its programs\n    steps:\n      - files: {{exist: [{}]}}\n",
            list(&paths)
        );
    };
    let version: Vec<&str> = subject.version.split('.').take(2).collect();
    let mut text = format!(
        "\ntests:\n  - name: is the version of its package\n    with: {{tmpfs: [/tmp]}}\n    steps:\n      \
         - run: [{}, --version]\n        stdout: {{contains: {}}}\n",
        scalar(&start.program),
        scalar(&version.join("."))
    );
    if let (Some(_), Some(port)) = (found.service(subject), found.free_ports().next()) {
        let mut with = "tmpfs: [/tmp]".to_owned();
        if !volumes.is_empty() {
            let _ = write!(with, ", volumes: [{}]", list(volumes));
        }
        let _ = write!(
            text,
            "  - name: starts and opens its port\n    with: {{{with}}}\n    steps:\n      \
             - start: image\n      - wait: {{port: {port}}}\n"
        );
    }
    text
}

fn list(values: &[String]) -> String {
    values.iter().map(|value| scalar(value)).collect::<Vec<_>>().join(", ")
}

/// A string as YAML reads it back, in block and in flow: quoted unless it is a plain word that can be nothing else.
fn scalar(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || " ._/+()-".contains(character);
    let first = text.chars().next().unwrap_or(' ');
    let word = first.is_ascii_alphabetic() || first == '/';
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = word
        && text.chars().all(plain)
        && !text.ends_with(' ')
        && !reserved.contains(&text.to_ascii_lowercase().as_str());
    // A JSON string is a double-quoted one of YAML.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_back() {
        for text in [
            "a", "a b", "1.0", "", "-g", "yes", "a: b", "a #b", "é", "it's", "\"", "a\nb", "{x}", "*", "/a/b",
        ] {
            let read: Vec<String> =
                calypte_definition::yaml::from_str("x.yaml", &format!("[{}, a]\n", scalar(text))).unwrap();
            assert_eq!(read, [text, "a"]);
        }
    }
}
