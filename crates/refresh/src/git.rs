//! The git repository that holds a catalog, as far as locks are committed to it: by the program `git`, with its plumbing alone.
//! No file of the work tree is written, no hook is run, and a branch that somebody else moved in the meantime is looked at
//! again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};
use calypte_base::Epoch;
use calypte_pipeline::hinted;

/// Where locks are committed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitTarget {
    /// The branch; none: the one that is checked out.
    pub branch: Option<String>,
    /// Where commits are pushed: the name of a remote, or an address.
    pub remote: Option<String>,
    /// Name of the author.
    pub name: String,
    /// The author's address.
    pub address: String,
}

/// How often a branch is looked at again that others moved.
const ATTEMPTS: u32 = 5;

/// Set by whoever runs us from within git itself; they would lead to another repository.
const LEADING_ASTRAY: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// The repository of a catalog, and the branch of it that commits go to.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The root of its work tree.
    root: PathBuf,
    /// The catalog below it, empty or with a slash at the end.
    prefix: String,
    /// `refs/heads/…`, or `HEAD` where no branch is checked out.
    reference: String,
    /// Whether what is committed is what is checked out.
    is_checked_out: bool,
    target: GitTarget,
}

/// A file that a branch does not have as it is in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Differing {
    /// Its path below the catalog.
    pub path: String,
    /// Its name in git.
    blob: String,
    /// What the branch has there.
    pub before: Option<String>,
}

impl Repository {
    /// Finds it.
    ///
    /// # Errors
    /// When there is no git, the catalog is in no repository, or the branch cannot be committed to.
    pub fn open(catalog: &Path, target: &GitTarget) -> Result<Self> {
        let mut repository = Self {
            root: catalog.to_owned(),
            prefix: String::new(),
            reference: "HEAD".to_owned(),
            is_checked_out: true,
            target: target.clone(),
        };
        let found = repository.run(&["rev-parse", "--show-toplevel", "--show-prefix"], None)?;
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        let Some((root, prefix)) = text.split_once('\n').filter(|_| found.status.success()) else {
            return Err(hinted(
                format!("{} is in no git repository{}", catalog.display(), said(&found)),
                "locks are committed to the repository that holds the catalog: make one with `git init`, or leave \
                 --commit-locks out",
            ));
        };
        prefix.trim_end_matches('\n').clone_into(&mut repository.prefix);
        repository.root = PathBuf::from(root);
        let head = repository.run(&["symbolic-ref", "--quiet", "HEAD"], None)?;
        let head = head.status.success().then(|| String::from_utf8_lossy(&head.stdout).trim().to_owned());
        match (&target.branch, head) {
            (None, Some(head)) => repository.reference = head,
            (None, None) if target.remote.is_some() => {
                return Err(hinted(
                    format!("no branch is checked out in {}, so there is none to push", catalog.display()),
                    "name one: --commit-locks=BRANCH",
                ));
            }
            (None, None) => {}
            (Some(branch), head) => {
                repository.reference = repository.branch(branch)?;
                repository.is_checked_out = head.as_ref() == Some(&repository.reference);
                repository.refuse_others_work_tree()?;
            }
        }
        Ok(repository)
    }

    /// The full name of a branch.
    fn branch(&self, branch: &str) -> Result<String> {
        let reference = format!("refs/heads/{branch}");
        let checked = self.run(&["check-ref-format", &reference], None)?;
        if branch.starts_with('-') || !checked.status.success() {
            return Err(hinted(format!("`{branch}` is no name of a branch"), "write --commit-locks=locks"));
        }
        Ok(reference)
    }

    /// A branch that is checked out elsewhere would seem to have been changed back there.
    fn refuse_others_work_tree(&self) -> Result<()> {
        let format = "--format=%(worktreepath)";
        let elsewhere = self.text(&["for-each-ref", format, &self.reference], None)?;
        if self.is_checked_out || elsewhere.is_empty() {
            return Ok(());
        }
        Err(hinted(
            format!("the branch {} is checked out in {elsewhere}", self.short()),
            "name another branch, or run with the catalog of that work tree",
        ))
    }

    /// The branch as people call it.
    pub fn short(&self) -> &str {
        self.reference.strip_prefix("refs/heads/").unwrap_or(&self.reference)
    }

    /// The newest commit of the branch; for one that does not exist yet that of what is checked out, where it begins.
    fn tip(&self) -> Result<(Option<String>, Option<String>)> {
        let own = self.object(&format!("{}^{{commit}}", self.reference))?;
        let base = if own.is_some() { own.clone() } else { self.object("HEAD^{commit}")? };
        Ok((own, base))
    }

    /// Of these files below the catalog those that the branch has otherwise, or not at all.
    pub fn differing(&self, paths: &[String]) -> Result<Vec<Differing>> {
        let (_, base) = self.tip()?;
        let there = |path: &&String| self.root.join(&self.prefix).join(path).is_file();
        let there: Vec<&String> = paths.iter().filter(there).collect();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let list: String = there.iter().map(|path| format!("{}{path}\n", self.prefix)).collect();
        let hash = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        let blobs = self.text(&hash, Some(&list))?;
        let known = match &base {
            Some(base) => self.tree(base, &there)?,
            None => BTreeMap::new(),
        };
        let mut differing = Vec::new();
        for (path, blob) in there.into_iter().zip(blobs.lines()) {
            let before = known.get(&format!("{}{path}", self.prefix));
            if before.map(String::as_str) == Some(blob) {
                continue;
            }
            let before = before.map(|before| self.text(&["cat-file", "blob", before], None)).transpose()?;
            differing.push(Differing { path: path.clone(), blob: blob.to_owned(), before });
        }
        Ok(differing)
    }

    /// The blobs of a commit at these paths, by the path in the repository.
    fn tree(&self, commit: &str, paths: &[&String]) -> Result<BTreeMap<String, String>> {
        let paths: Vec<String> = paths.iter().map(|path| format!("{}{path}", self.prefix)).collect();
        let mut arguments = vec!["--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--"];
        arguments.extend(paths.iter().map(String::as_str));
        let listed = self.text(&arguments, None)?;
        let blob = |line: &str| {
            let (about, path) = line.split_once('\t')?;
            Some((path.to_owned(), about.split(' ').nth(2)?.to_owned()))
        };
        Ok(listed.split('\0').filter_map(blob).collect())
    }

    /// Commits a file as it was found; the commit.
    ///
    /// # Errors
    /// When git refuses, or others move the branch each time.
    pub fn commit(&self, file: &Differing, message: &str, now: Epoch) -> Result<String> {
        let path = format!("{}{}", self.prefix, file.path);
        let info = format!("100644,{},{path}", file.blob);
        let scratch = tempfile::Builder::new().prefix("calypte-git-").tempdir()?;
        for attempt in 0..ATTEMPTS {
            let (own, base) = self.tip()?;
            // An index of its own: what somebody is about to commit there is not touched.
            let index = scratch.path().join(format!("index-{attempt}"));
            let with_index = |arguments: &[&str]| -> Result<String> {
                let mut command = self.git(arguments);
                checked(arguments, self.feed(command.env("GIT_INDEX_FILE", &index), None)?)
            };
            with_index(&["read-tree", base.as_deref().unwrap_or("--empty")])?;
            with_index(&["update-index", "--add", "--cacheinfo", &info])?;
            let tree = with_index(&["write-tree"])?;
            let mut arguments = vec!["commit-tree", tree.as_str(), "-F", "-"];
            arguments.extend(base.iter().flat_map(|base| ["-p", base]));
            let commit = self.signed_off(&arguments, message, now)?;
            if self.is_checked_out {
                // Before the branch moves: a kill in between leaves what was about to be committed, and no change back.
                self.text(&["update-index", "--add", "--cacheinfo", &info], None)?;
            }
            let reason = "calypte pipeline: lock committed";
            let old = own.as_deref().unwrap_or("");
            let update = ["update-ref", "-m", reason, &self.reference, &commit, old];
            let updated = self.run(&update, None)?;
            if updated.status.success() {
                return Ok(commit);
            }
            if self.tip()?.0 == own {
                checked(&update, updated)?;
            }
        }
        bail!("others moved the branch {} each time that a lock was committed to it", self.short())
    }

    fn signed_off(&self, arguments: &[&str], message: &str, now: Epoch) -> Result<String> {
        let date = format!("@{} +0000", now.0.max(0));
        let mut command = self.git(arguments);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), &self.target.name);
            command.env(format!("GIT_{role}_EMAIL"), &self.target.address);
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        checked(arguments, self.feed(&mut command, Some(message))?)
    }

    /// Pushes the branch, where there is something to be pushed to and the remote is not known to have it. Never by force.
    ///
    /// # Errors
    /// When the remote does not take it.
    pub fn push(&self) -> Result<bool> {
        let Some(remote) = &self.target.remote else { return Ok(false) };
        let Some(own) = self.tip()?.0 else { return Ok(false) };
        let tracked = format!("refs/remotes/{remote}/{}", self.short());
        if self.object(&tracked)? == Some(own) {
            return Ok(false);
        }
        let branch = format!("{0}:{0}", self.reference);
        let push = ["push", "--quiet", "--no-verify", "--recurse-submodules=no", "--", remote, &branch];
        self.text(&push, None)?;
        Ok(true)
    }

    /// The name of an object; none where there is none.
    fn object(&self, text: &str) -> Result<Option<String>> {
        let found = self.run(&["rev-parse", "--quiet", "--verify", text], None)?;
        Ok(found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_owned()))
    }

    /// A command that must succeed; what it prints, without the last line's end.
    fn text(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        checked(arguments, self.run(arguments, input)?)
    }

    fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<Output> {
        self.feed(&mut self.git(arguments), input)
    }

    /// Git there: no hooks or other programs that the repository's settings name, no questions.
    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root);
        for setting in ["core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "push.gpgSign=false"]
        {
            command.args(["-c", setting]);
        }
        for name in LEADING_ASTRAY {
            command.env_remove(name);
        }
        command.args(arguments).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command
    }

    fn feed(&self, command: &mut Command, input: Option<&str>) -> Result<Output> {
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(hinted(
                    "the program `git` is not there, with which locks are committed",
                    "install git, or leave --commit-locks out",
                ));
            }
            Err(error) => return Err(error).context("git could not be started"),
        };
        let pipe = child.stdin.take();
        std::thread::scope(|scope| {
            if let (Some(mut pipe), Some(input)) = (pipe, input) {
                // What it does not read it complains of itself.
                scope.spawn(move || drop(pipe.write_all(input.as_bytes())));
            }
            child.wait_with_output().context("git was lost")
        })
    }
}

fn checked(arguments: &[&str], output: Output) -> Result<String> {
    if !output.status.success() {
        let verb = arguments.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
        bail!("`git {verb}` failed{}", said(&output));
    }
    let text = String::from_utf8(output.stdout).context("git printed what is no text")?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// What a command complained of, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
}
