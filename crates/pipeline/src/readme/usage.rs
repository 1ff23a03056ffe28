//! A definition's tests as commands that a reader can type: what stands in a page is what is run when the image is tested.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_definition::{ImageDefinition, Sandbox, Start, Step, Test, TextCheck, Wait};

use super::shell::{Line, printf, quoted};

/// The longest script that a page shows.
const LONGEST: usize = 60;

/// The image as the commands name it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its definition.
    pub definition: &'a ImageDefinition,
    /// The reference under which an engine has it.
    pub reference: &'a str,
}

/// The script of one test; none where there is nothing to type, or too much of it.
pub fn script(test: &Test, image: Named<'_>) -> Option<String> {
    let mut script = Script { test, image, lines: Vec::new(), started: false, open: BTreeSet::new() };
    let names: BTreeSet<String> = script.files().into_values().collect();
    if names.len() < test.sandbox.files.len() {
        // Two files of one name would need directories, which a page does not make.
        return None;
    }
    script.write_files();
    let written = script.lines.len();
    test.steps.iter().for_each(|step| script.step(step));
    if script.lines.len() == written {
        return None;
    }
    script.clean_up();
    let text = script.lines.join("\n");
    (!text.is_empty() && text.lines().count() <= LONGEST).then_some(text)
}

struct Script<'a> {
    test: &'a Test,
    image: Named<'a>,
    lines: Vec<String>,
    started: bool,
    /// The ports of the service that are known to be open.
    open: BTreeSet<u16>,
}

impl Script<'_> {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Run { command, exit, stdin, stdout, stderr } => {
                let mut line = if self.started {
                    self.execute(stdin.is_some(), command)
                } else {
                    self.run_once(stdin.is_some(), command)
                };
                if *exit != 0 {
                    line.push_str(&format!(" || test $? -eq {exit}"));
                }
                if let Some(stdin) = stdin {
                    line = format!("printf {} |\n    {line}", printf(stdin));
                }
                self.lines.push(line);
                self.expect(stdout.as_ref());
                self.expect(stderr.as_ref());
            }
            Step::Start(start) => self.start(start),
            Step::Restart => self.restart(),
            Step::Wait(Wait::Port(port)) => self.wait(*port),
            Step::Wait(Wait::Run(command)) => {
                let line = self.execute(false, command);
                self.lines.push(format!("until {line}; do sleep 1; done"));
            }
            Step::Http { port, path, status, body } => self.http(*port, path, *status, body.as_ref()),
            Step::Tcp { port, send, reply } => {
                if !self.open.contains(port) {
                    self.wait(*port);
                }
                self.lines.push(format!("printf {} | nc -w 2 localhost {port}", printf(send)));
                self.expect(Some(reply));
            }
            Step::Files { .. } => {}
        }
    }

    fn name(&self) -> &str {
        &self.image.definition.id.family
    }

    /// The options that every container of the test has.
    fn options(&self, line: &mut Line) {
        // By all its fields: a container that lacked one of them would not be the one that is tested.
        let Sandbox {
            environment,
            tmpfs,
            volumes: _,
            files: _,
            read_only,
            user,
            network: _,
            timeout: _,
            native: _,
        } = &self.test.sandbox;
        if *read_only {
            line.raw("--read-only");
        }
        if user.map_or(self.image.definition.user.uid, |(uid, _)| uid) != 0 {
            line.raw("--cap-drop all");
        }
        for path in tmpfs {
            line.option("--tmpfs", &path.to_string());
        }
        for (path, name) in self.volumes() {
            if self.is_declared(path) {
                line.option("--volume", &format!("{name}:{path}:U"));
            } else {
                line.raw(format!("--volume \"$PWD/{name}:{path}:U\""));
            }
        }
        for (path, name) in self.files() {
            line.raw(format!("--volume \"$PWD/{name}:{path}:ro\""));
        }
        if let Some((uid, gid)) = user {
            line.raw(format!("--user {uid}:{gid}"));
        }
        for (name, value) in environment {
            line.option("--env", &format!("{name}={value}"));
        }
    }

    /// The test's volumes, each with the name of one that a reader makes for it.
    fn volumes(&self) -> BTreeMap<&TreePath, String> {
        let mut names = BTreeSet::new();
        let name = |path| {
            let shown = TreePath::to_string(path);
            let last = shown.rsplit('/').next().unwrap_or_default();
            let own = last.starts_with(self.name());
            let mut name = if own { last.to_owned() } else { format!("{}-{last}", self.name()) };
            while !names.insert(name.clone()) {
                name.push_str("-2");
            }
            (path, name)
        };
        self.test.sandbox.volumes.iter().map(name).collect()
    }

    /// Whether a path is a volume of the image. Elsewhere, a new volume gets its owner from the image, and not from `U`; so a
    /// directory of the reader's is taken.
    fn is_declared(&self, path: &TreePath) -> bool {
        self.image.definition.run.volumes.contains(path)
    }

    /// The test's files, each with the name of one that a reader writes for it.
    fn files(&self) -> BTreeMap<String, String> {
        let name = |path: &TreePath| path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        self.test.sandbox.files.keys().map(|path| (path.to_string(), name(path))).collect()
    }

    /// Writes the test's files beside where the reader is.
    fn write_files(&mut self) {
        let directories: Vec<String> = self
            .volumes()
            .into_iter()
            .filter(|(path, _)| !self.is_declared(path))
            .map(|(_, name)| format!("mkdir -p {name}"))
            .collect();
        self.lines.extend(directories);
        for (path, text) in &self.test.sandbox.files {
            let name = quoted(path.as_str().rsplit('/').next().unwrap_or_default());
            let mut end = "END".to_owned();
            while text.lines().any(|line| line == end) {
                end.push('X');
            }
            self.lines.push(format!("cat > {name} <<'{end}'\n{}\n{end}", text.trim_end_matches('\n')));
        }
    }

    /// A command in a container of its own. What the entrypoint would start anyway is left to it.
    fn run_once(&self, interactive: bool, command: &[String]) -> String {
        let mut line = Line::new(&["podman", "run", "--rm"]);
        if interactive {
            line.raw("--interactive");
        }
        self.options(&mut line);
        self.program(&mut line, command);
        line.text()
    }

    /// The image and what it runs: a program that is not the entrypoint is named before the image, its arguments after it.
    fn program(&self, line: &mut Line, command: &[String]) {
        let entrypoint = &self.image.definition.run.entrypoint;
        let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let (first, more) = entrypoint.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        if entrypoint.is_empty() {
            line.raw(self.image.reference).words(command);
        } else if last(first) == last(program) && arguments.starts_with(more) {
            let rest = arguments.get(more.len()..).unwrap_or_default();
            line.raw(self.image.reference).words(rest);
        } else {
            line.option("--entrypoint", program).raw(self.image.reference).words(arguments);
        }
    }

    fn execute(&self, interactive: bool, command: &[String]) -> String {
        let mut line = Line::new(&["podman", "exec"]);
        if interactive {
            line.raw("--interactive");
        }
        line.raw(self.name()).words(command).text()
    }

    fn start(&mut self, start: &Start) {
        self.started = true;
        self.open.clear();
        let mut line = Line::new(&["podman", "run", "--detach"]);
        line.option("--name", self.name());
        self.options(&mut line);
        let asked = self.ports();
        let declared: BTreeSet<u16> =
            self.image.definition.run.ports.iter().map(|port| port.number).collect();
        // What a test starts in its own way may listen on loopback only, which no published port reaches.
        if *start == Start::Image && asked.is_subset(&declared) {
            for port in asked {
                line.raw(format!("--publish {port}:{port}"));
            }
        } else {
            line.raw("--network host");
        }
        let reference = self.image.reference;
        match start {
            Start::Image => {
                line.raw(reference);
            }
            Start::Arguments(arguments) => {
                line.raw(reference).words(arguments);
            }
            Start::Command(command) => self.program(&mut line, command),
        }
        self.lines.push(line.text());
    }

    /// Ends the container and starts the same in a new one.
    fn restart(&mut self) {
        let start = self.test.steps.iter().find_map(|step| match step {
            Step::Start(start) => Some(start),
            _ => None,
        });
        let Some(start) = start else { return };
        let name = self.name().to_owned();
        self.lines.extend([format!("podman stop {name}"), format!("podman rm {name}")]);
        self.start(start);
    }

    /// The ports that the test connects to.
    fn ports(&self) -> BTreeSet<u16> {
        let port = |step: &Step| match step {
            Step::Http { port, .. } | Step::Tcp { port, .. } | Step::Wait(Wait::Port(port)) => Some(*port),
            _ => None,
        };
        self.test.steps.iter().filter_map(port).collect()
    }

    fn wait(&mut self, port: u16) {
        self.open.insert(port);
        self.lines.push(format!("until nc -z localhost {port}; do sleep 1; done"));
    }

    fn http(&mut self, port: u16, path: &str, status: u16, body: Option<&TextCheck>) {
        self.open.insert(port);
        let url = quoted(&format!("http://localhost:{port}{path}"));
        if status == 200 {
            self.lines.push(format!("curl --silent --retry 9 --retry-all-errors {url}"));
            self.expect(body);
        } else {
            let code = "curl --silent --retry 9 --retry-connrefused --output /dev/null --write-out '%{http_code}\\n'";
            self.lines.push(format!("{code} {url}"));
            self.lines.push(format!("# → {status}"));
        }
    }

    /// What the command before is to print, as a comment.
    fn expect(&mut self, text: Option<&TextCheck>) {
        let Some(TextCheck { contains, equals }) = text else { return };
        let mut shown: Vec<String> =
            equals.iter().flat_map(|text| text.lines().map(|line| format!("# → {line}"))).collect();
        shown.extend(contains.iter().flat_map(|text| text.lines().map(|line| format!("# → … {line} …"))));
        self.lines.extend(shown.iter().map(|line| line.trim_end().to_owned()));
    }

    fn clean_up(&mut self) {
        if self.started {
            self.lines.push(format!("podman rm --force --time 0 {}", self.name()));
        }
        let volumes = self.volumes().into_iter().filter(|(path, _)| self.is_declared(path));
        let volumes: Vec<String> = volumes.map(|(_, name)| name).collect();
        if !volumes.is_empty() && !self.lines.is_empty() {
            self.lines.push(format!("podman volume rm {}", volumes.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use calypte_definition::Catalog;

    use super::*;

    const DEFINITION: &str = r#"
image: x
title: X
description: X.
category: tool
run:
  entrypoint: [/usr/bin/x, -q]
  ports: [8080/tcp]
  volumes: [/data]
tests:
  - name: runs
    with: {tmpfs: [/tmp], environment: {A: it's}}
    steps:
      - run: [x, -q, --version]
        stdout: {equals: "1.0"}
      - run: [y, a b]
        stdin: "50%\n"
        exit: 3
        stderr: {contains: no}
  - name: serves
    with: {volumes: [/data, /more/data], read-only: false}
    steps:
      - run: [x-setup]
      - start: image
      - wait: {run: [x-ready]}
      - http: 8080
        path: /?a=b&c
        body: {contains: hello}
      - http: 8080
        status: 404
      - tcp: 8080
        send: "PING\r\n"
        reply: {contains: PONG}
      - run: [x-ctl, stop]
  - name: listens elsewhere
    with: {files: {/etc/x/x.conf: "port 9000\nEND\n"}}
    steps:
      - start: {arguments: [--port, "9000"]}
      - restart: service
      - wait: {port: 9000}
  - name: has files
    steps:
      - files: {exist: [/usr/bin/x]}
"#;

    #[test]
    fn tests_are_commands_to_type() {
        let catalog = Catalog::load([("x.yaml".to_owned(), DEFINITION.to_owned())]).unwrap();
        let definition = catalog.image(&catalog.parse_id("x").unwrap()).unwrap();
        let image = Named { definition, reference: "localhost/calypte/x:latest" };
        let scripts: Vec<String> = definition
            .tests
            .iter()
            .map(|test| format!("## {}\n{}\n", test.name, script(test, image).unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(scripts.join("\n"));
    }
}
