//! `calypte mcp` as a client sees it: a program that is spoken to over its standard input and output (Model Context Protocol,
//! 2025-06-18: lifecycle, stdio transport, tools).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take: far longer than any does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client, and the server that it started over the repository's catalog, without network.
struct Client {
    server: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next: u64,
    store: TempDir,
}

impl Client {
    fn start(options: &[&str]) -> Self {
        Self::over(TempDir::new().unwrap(), &[&["mcp"], options].concat())
    }

    /// Over a store, with the words of its command line.
    fn over(store: TempDir, words: &[&str]) -> Self {
        let mut server = Command::new(assert_cmd::cargo::cargo_bin("calypte"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env_clear()
            .args(["--offline", "--store"])
            .arg(store.path())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
        });
        let input = server.stdin.take();
        Self { server, input, lines, next: 1, store }
    }

    /// A client whose server knows it.
    fn introduced(options: &[&str]) -> Self {
        Self::start(options).introduce()
    }

    fn introduce(self) -> Self {
        let mut client = self;
        let answer = client.ask(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } }),
        );
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        assert_eq!(answer["result"]["serverInfo"]["name"], "calypte", "{answer}");
        assert!(answer["result"]["capabilities"]["tools"].is_object(), "{answer}");
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        client
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    /// Asks, and gives the answer to that; what else the server says is passed over.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            assert_eq!(value["jsonrpc"], "2.0", "{line}");
            if value["id"] == id {
                return value;
            }
        }
    }

    /// Calls a tool that succeeds.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        // Clients that know no structure read the same as text.
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"]);
        text
    }

    /// Calls a tool that fails; what it tells the model.
    fn fail(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{tool} {arguments}: {answer}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    fn tools(&mut self) -> Vec<String> {
        let answer = self.ask("tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Closes the client's end; whether the server then ends well, and soon.
    fn close(mut self) -> bool {
        drop(self.input.take());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.server.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[test]
fn an_agent_asks_about_the_catalog() {
    let mut client = Client::introduced(&[]);
    assert_eq!(
        client.tools(),
        ["search_catalog", "show_image", "explain_cve", "diff_images", "propose_definition"]
    );
    let found = client.call("search_catalog", json!({ "query": "nginx", "universe": "debian-sid" }));
    let names: Vec<_> = found["images"].as_array().unwrap().iter().map(|one| &one["image"]).collect();
    assert!(names.contains(&&json!("nginx")) && !names.contains(&&json!("redis")), "{names:?}");
    let few = client.call("search_catalog", json!({ "limit": 3 }));
    assert_eq!(few["images"].as_array().unwrap().len(), 3);
    assert!(few["found"].as_u64() > Some(50), "{}", few["found"]);
    assert_eq!(client.call("search_catalog", json!({ "query": "no such thing" }))["found"], 0);

    let shown = client.call("show_image", json!({ "image": "nginx" }));
    assert_eq!((&shown["schema"], &shown["image"]), (&json!("calypte.show/1"), &json!("nginx")));
    let has = |shown: &Value, name: &str| {
        shown["packages"].as_array().unwrap().iter().any(|package| package["name"] == name)
    };
    assert!(has(&shown, "nginx") && !has(&shown, "bash"), "{shown}");

    let changes = client.call("diff_images", json!({ "from": "nginx", "to": "nginx-debug" }));
    let added: Vec<_> =
        changes["packages"].as_array().unwrap().iter().filter(|one| one["from"].is_null()).collect();
    assert!(!added.is_empty(), "{changes}");
    let same = client.call("diff_images", json!({ "from": "nginx", "to": "nginx" }));
    assert_eq!(same["packages"], json!([]));
    assert!(client.close());
}

#[test]
fn what_went_wrong_is_told_with_its_cure() {
    let mut client = Client::introduced(&[]);
    let fault = client.fail("show_image", json!({ "image": "ngnix" }));
    assert!(fault.contains("ngnix") && fault.contains("hint: "), "{fault}");
    let fault = client.fail("explain_cve", json!({ "flaw": "CVE-2026-1" }));
    assert!(fault.contains("calypte advisories update"), "{fault}");
    // There is no network, and the store is empty.
    let fault = client.fail("propose_definition", json!({ "family": "tree" }));
    assert!(!fault.is_empty());
    assert!(!Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/images/tree.yaml")).exists());
    let fault = client.fail("propose_definition", json!({ "family": "nginx" }));
    assert!(fault.contains("there is a family `nginx` already"), "{fault}");
}

#[test]
fn nothing_is_written_unless_it_is_allowed() {
    let mut client = Client::introduced(&[]);
    for tool in ["start_rebuild", "rebuild_status"] {
        let answer = client.ask("tools/call", json!({ "name": tool, "arguments": { "image": "static" } }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("--allow-writes"), "{answer}");
    }
    drop(client);

    let mut client = Client::introduced(&["--allow-writes"]);
    assert!(client.tools().contains(&"start_rebuild".to_owned()));
    let begun = client.call("start_rebuild", json!({ "image": "static" }));
    assert_eq!(begun, json!({ "number": 1, "state": "running" }));
    let end = Instant::now() + PATIENCE;
    let job = loop {
        let status = client.call("rebuild_status", json!({}));
        let job = status["rebuilds"][0].clone();
        if job["state"] != "running" || Instant::now() > end {
            break job;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    // Its packages are not in the store, and there is no network to fetch them from.
    assert_eq!((&job["image"], &job["state"]), (&json!("static"), &json!("failed")), "{job}");
    assert!(job["result"].as_str().unwrap().contains("offline"), "{job}");
    assert!(client.close());
}

#[test]
fn hostile_input_neither_ends_the_server_nor_reads_files() {
    let mut client = Client::introduced(&["--allow-writes"]);
    let huge = format!("{{\"jsonrpc\":\"2.0\",\"id\":9000,\"method\":\"{}\"}}", "a".repeat(3 << 20));
    let deep = "[".repeat(100_000);
    for line in
        ["", "{", "null", "[]", "7", "\u{0}\u{1}\u{7f}", "{\"jsonrpc\":\"1.0\"}", "{\"id\":[]}", &deep, &huge]
    {
        client.write(line);
        assert!(client.ask("ping", json!({}))["result"].is_object(), "after {line:.40}");
    }
    assert_eq!(client.ask("no/such", json!({}))["error"]["code"], -32601);
    for params in
        [json!({ "name": "no_such_tool" }), json!({ "name": "../show_image" }), json!({ "name": "" })]
    {
        assert_eq!(client.ask("tools/call", params.clone())["error"]["code"], -32602, "{params}");
    }
    for params in [json!({}), json!({ "name": 7 }), json!({ "name": "show_image", "arguments": [] })] {
        assert!(client.ask("tools/call", params.clone())["error"].is_object(), "{params}");
    }
    // Names that would be files elsewhere are no names here.
    let secret = client.store.path().join("secret.lock");
    fs_err::write(&secret, "a secret").unwrap();
    let path = secret.display().to_string();
    for name in [
        &*path,
        "oci:/",
        "oci-archive:/etc/passwd",
        "../../../etc/passwd",
        "nginx#builder",
        "",
        "-h",
        "nginx; ls",
        "\u{202e}",
    ] {
        for (tool, arguments) in [
            ("show_image", json!({ "image": name })),
            ("diff_images", json!({ "from": name, "to": "nginx" })),
            ("diff_images", json!({ "from": "nginx", "to": name })),
            ("show_image", json!({ "image": "nginx", "universe": name })),
            ("diff_images", json!({ "from": "nginx", "to": "nginx", "to_universe": name })),
            ("propose_definition", json!({ "family": name })),
            ("propose_definition", json!({ "family": "tree", "universe": name })),
        ] {
            let fault = client.fail(tool, arguments);
            assert!(!fault.contains("a secret") && !fault.contains("root:"), "{fault}");
        }
    }
    for arguments in [
        json!({ "image": "nginx", "more": 1 }),
        json!({ "image": "a".repeat(100_000) }),
        json!({ "image": null }),
    ] {
        client.fail("show_image", arguments);
    }
    assert!(client.close());
}

#[test]
fn who_does_not_introduce_himself_is_not_served() {
    let mut client = Client::start(&[]);
    client.write(
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "show_image", "arguments": { "image": "nginx" } } })
        .to_string(),
    );
    let answer = client.lines.recv_timeout(PATIENCE).ok();
    let is_error = answer.as_ref().is_none_or(|line| line.contains("\"error\""));
    assert!(is_error, "{answer:?}");
}

/// What the feeds say of one flaw, as Debian's security tracker writes it.
const TRACKER: &str = r#"{"nginx": {"CVE-2026-1": {"description": "It crashes.", "scope": "remote", "releases":
    {"sid": {"status": "resolved", "repositories": {"sid": "1.30-1"}, "fixed_version": "1.29-2", "urgency": "high"}}}}}"#;

#[test]
fn a_flaw_is_explained_by_what_feeds_say() {
    let store = TempDir::new().unwrap();
    let feed = store.path().join("tracker.json");
    fs_err::write(&feed, TRACKER).unwrap();
    let status = Command::new(assert_cmd::cargo::cargo_bin("calypte"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env_clear()
        .args(["--offline", "--quiet", "--store"])
        .arg(store.path())
        .args(["advisories", "update", "--from"])
        .arg(format!("debian-tracker:debian-tracker={}", feed.display()))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut client = Client::over(store, &["mcp"]).introduce();
    let known = client.call("explain_cve", json!({ "flaw": "CVE-2026-1" })).to_string();
    assert!(known.contains("It crashes.") && known.contains("1.29-2"), "{known}");
    let unknown = client.call("explain_cve", json!({ "flaw": "CVE-1999-1" })).to_string();
    assert!(!unknown.contains("It crashes."), "{unknown}");
}

/// Whether a value has all that another names, at any depth.
fn has(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| has(value, part)))
        }
        (Value::Array(value), Value::Array(part)) => {
            value.len() == part.len() && value.iter().zip(part).all(|(value, part)| has(value, part))
        }
        _ => value == part,
    }
}

#[test]
fn the_guide_tells_what_happens() {
    let guide =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/agents.md")).unwrap();
    let block = |start: &str| guide.split(start).nth(1).unwrap().split("```").next().unwrap();
    let settings: Value = serde_json::from_str(block("```json\n")).unwrap();
    let server = &settings["mcpServers"]["calypte"];
    assert_eq!(server["command"], "calypte");
    let words: Vec<&str> =
        server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let mut client = Client::over(TempDir::new().unwrap(), &words);
    let mut answers = 0;
    for line in block("```text\n").lines() {
        match line.split_at(2) {
            ("> ", said) => client.write(said),
            ("< ", expected) => {
                let answer = client.lines.recv_timeout(PATIENCE).unwrap();
                let expected = serde_json::from_str(expected).unwrap();
                assert!(
                    has(&serde_json::from_str(&answer).unwrap(), &expected),
                    "{answer} instead of {expected}"
                );
                answers += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(answers, 4);
    // Every tool stands in the guide.
    drop(client);
    for tool in Client::introduced(&["--allow-writes"]).tools() {
        assert!(guide.contains(&format!("`{tool}`")), "{tool}");
    }
}
