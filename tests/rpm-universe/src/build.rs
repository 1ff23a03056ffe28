//! Makes the packages, signs them, and keeps the result under the digest of what it is made by.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::debian::{self, Packages};
use crate::recipe::{Kind, Recipe, TARGETS, Target, paths};
use crate::tools::{Failure, check_programs, files_below, run};
use crate::{TIMESTAMP, index, packages};

/// All that decides what the fixture is.
const SOURCES: &[&str] = &[
    include_str!("build.rs"),
    include_str!("index.rs"),
    include_str!("recipe.rs"),
    include_str!("../assets/prelude.sh"),
    include_str!("../assets/sysusers.attr"),
    include_str!("../assets/sysusers-provides.sh"),
];

/// The directory with the fixture, made if need be. Another test that makes it meanwhile is waited for.
pub fn root() -> Result<PathBuf, Failure> {
    #[expect(clippy::disallowed_methods, reason = "where cargo builds is known to the environment only")]
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let directory = target.unwrap_or_else(|| crate::workspace().join("target")).join("tmp/rpm-universe");
    fs_err::create_dir_all(&directory)?;
    let mut hash = Sha256::new();
    for source in SOURCES.iter().chain(packages::SOURCES) {
        hash.update(source);
    }
    let root = directory.join(name(hash));
    if root.exists() {
        return Ok(root);
    }
    let lock = fs_err::File::create(directory.join("lock"))?;
    lock.file().lock()?;
    if root.exists() {
        return Ok(root);
    }
    check_programs()?;
    let recipes = packages::all();
    let names: BTreeSet<String> = recipes.iter().flat_map(Recipe::downloads).collect();
    let mut hash = Sha256::new();
    names.iter().for_each(|name| hash.update(name));
    let files = directory.join(format!("debian-{}", name(hash)));
    remove_old(&directory)?;
    let debs = debian::packages(&names, &files)?;
    let new = root.with_extension("new");
    make(&new, &recipes, &debs)?;
    fs_err::rename(&new, &root)?;
    Ok(root)
}

/// Leaves the newest results only: programs of another state of the sources may be using theirs at this moment.
fn remove_old(directory: &Path) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            kept.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    kept.sort();
    for (_, old) in kept.iter().rev().skip(KEPT) {
        fs_err::remove_dir_all(old)?;
    }
    Ok(())
}

/// How many results, and downloads for them, are kept.
const KEPT: usize = 4;

/// A short name for what was hashed.
fn name(hash: Sha256) -> String {
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn make(root: &Path, recipes: &[Recipe], debs: &Packages) -> Result<(), Failure> {
    // Short, since gpg's agent has a socket in it.
    let scratch = tempfile::tempdir()?;
    let assets = write_assets(&scratch.path().join("assets"))?;
    let built = scratch.path().join("built");
    let workshops = TARGETS.map(|target| Workshop {
        target,
        debs,
        assets: &assets,
        directory: scratch.path().join(target.rpm),
        built: &built,
    });
    std::thread::scope(|scope| {
        let handles: Vec<_> =
            workshops.iter().map(|workshop| scope.spawn(|| workshop.build(recipes))).collect();
        handles.into_iter().try_for_each(|handle| {
            handle
                .join()
                .unwrap_or_else(|_| Err(Failure::Failed("a thread that builds packages ended".into())))
        })
    })?;
    let home = scratch.path().join("gnupg");
    let files = files_below(&built)?;
    let key = sign(&home, "fixture@example.org", &files)?;
    fs_err::create_dir_all(root)?;
    fs_err::write(root.join("key.asc"), key)?;
    index::make(root, &built, &scratch.path().join("other-gnupg"))
}

/// Where the packages of one architecture are made.
struct Workshop<'a> {
    target: Target,
    debs: &'a Packages,
    assets: &'a Path,
    directory: PathBuf,
    built: &'a Path,
}

impl Workshop<'_> {
    fn build(&self, recipes: &[Recipe]) -> Result<(), Failure> {
        let mut shared = BTreeSet::new();
        for recipe in recipes {
            // What is for all architectures or for 32 bits is made with the first.
            if recipe.kind != Kind::Native && self.target != TARGETS[0] {
                continue;
            }
            let label = format!("{}-{}-{}", recipe.name, recipe.version, recipe.architecture(self.target));
            let place = self.directory.join(label.replace(['{', '}', ':', '~', '^'], "_"));
            let tree = place.join("tree");
            recipe.make_tree(self.target, self.debs, self.assets, &tree)?;
            if recipe.name == "filesystem" {
                shared = paths(&tree, &tree)?.into_iter().collect();
            }
            let spec = place.join("package.spec");
            fs_err::write(&spec, recipe.spec(self.debs, &tree, &shared)?)?;
            self.rpmbuild(recipe, &spec, &place)?;
            fs_err::remove_dir_all(&place)?;
        }
        Ok(())
    }

    fn rpmbuild(&self, recipe: &Recipe, spec: &Path, place: &Path) -> Result<(), Failure> {
        let mut command = Command::new("rpmbuild");
        command.args(["-bb", "--quiet", "--target", &format!("{}-linux", recipe.architecture(self.target))]);
        let definitions = [
            ("_topdir", place.display().to_string()),
            ("_rpmdir", self.built.display().to_string()),
            ("_tmppath", place.display().to_string()),
            ("_fileattrsdir", self.assets.join("fileattrs").display().to_string()),
            ("_fixture_assets", self.assets.display().to_string()),
            ("_binary_payload", recipe.payload.to_owned()),
            ("_buildhost", "fixture".to_owned()),
            ("_build_id_links", "none".to_owned()),
            ("debug_package", "%{nil}".to_owned()),
            ("__os_install_post", "%{nil}".to_owned()),
            ("__arch_install_post", "%{nil}".to_owned()),
            ("use_source_date_epoch_as_buildtime", "1".to_owned()),
            ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
            ("source_date_epoch_from_changelog", "0".to_owned()),
        ];
        for (name, value) in definitions {
            command.args(["--define", &format!("{name} {value}")]);
        }
        let built =
            run(command.arg(spec).env("SOURCE_DATE_EPOCH", TIMESTAMP.to_string()).env("LC_ALL", "C.UTF-8"));
        built.map(drop).map_err(|failure| Failure::Failed(format!("package {}: {failure}", recipe.name)))
    }
}

/// What rpmbuild looks up relations with: its own rules for programs and scripts, and one for accounts, which it has
/// only from version 4.19 on.
fn write_assets(directory: &Path) -> Result<PathBuf, Failure> {
    let rules = directory.join("fileattrs");
    fs_err::create_dir_all(&rules)?;
    fs_err::write(directory.join("prelude.sh"), include_str!("../assets/prelude.sh"))?;
    fs_err::write(directory.join("sysusers-provides.sh"), include_str!("../assets/sysusers-provides.sh"))?;
    fs_err::write(rules.join("sysusers.attr"), include_str!("../assets/sysusers.attr"))?;
    let own = run(Command::new("rpm").args(["--eval", "%{_fileattrsdir}"]))?;
    for name in ["elf.attr", "script.attr"] {
        fs_err::copy(Path::new(own.trim()).join(name), rules.join(name))?;
    }
    Ok(directory.to_owned())
}

/// Signs packages with a new key, which is forgotten afterwards; its public half, armored.
pub fn sign(home: &Path, name: &str, files: &[PathBuf]) -> Result<String, Failure> {
    fs_err::create_dir_all(home)?;
    fs_err::set_permissions(home, std::fs::Permissions::from_mode(0o700))?;
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--homedir"]).arg(home).args(arguments);
        command
    };
    let created = format!("--faked-system-time={OLD}!");
    run(&mut gpg(&[&created, "--passphrase", "", "--quick-generate-key", name, "rsa2048", "sign", "never"]))?;
    let mut command = Command::new("rpmsign");
    command.env("GNUPGHOME", home).arg("--addsign").args(["--define", &format!("_gpg_name {name}")]);
    command.args(["--define", &format!("_gpg_path {}", home.display())]);
    let program = run(Command::new("sh").args(["-c", "command -v gpg"]))?;
    command.args(["--define", &format!("__gpg {}", program.trim())]);
    let signed = run(command.args(files));
    let key = run(&mut gpg(&["--armor", "--export", name]));
    run(Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]))?;
    signed?;
    key
}

/// When the keys say they were made: before everything else.
const OLD: &str = "20240101T000000";
