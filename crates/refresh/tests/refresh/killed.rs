//! The process of a run is killed: before one of its steps, or when so many pieces went over the line to the registry. The
//! runs after it end with all that an undisturbed run publishes, each thing once.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use calypte_refresh::{GitTarget, State};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Place, UNIVERSE, World, now};

/// How often the process is killed. `CALYPTE_TEST_KILLS` sets another number.
const KILLS: usize = 24;

/// A number that is another each time, and the same in each test run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Passes what comes on to the registry, and ends a process with the piece whose turn it is.
struct Line {
    /// `localhost:PORT`.
    address: String,
    /// Pieces until then; 0: never.
    left: Arc<AtomicU64>,
    /// The process.
    victim: Arc<AtomicU64>,
}

impl Line {
    fn new(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let (left, victim): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let line = Self { address, left: Arc::clone(&left), victim: Arc::clone(&victim) };
        let to = to.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&to) else { continue };
                let (mut back, mut client_out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    drop(std::io::copy(&mut back, &mut client_out));
                    // The other side must not wait for what does not come.
                    client_out.shutdown(std::net::Shutdown::Both)
                });
                let (left, victim) = (Arc::clone(&left), Arc::clone(&victim));
                std::thread::spawn(move || {
                    let (client_end, server_end) = (client.try_clone(), server.try_clone());
                    drop(pass(client, server, &left, &victim));
                    for end in [client_end, server_end].into_iter().flatten() {
                        drop(end.shutdown(std::net::Shutdown::Both));
                    }
                });
            }
        });
        line
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64, victim: &AtomicU64) -> std::io::Result<()> {
    let mut piece = [0; 2048];
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
            let process = i32::try_from(victim.load(Ordering::SeqCst)).ok().and_then(Pid::from_raw);
            if let Some(process) = process {
                let _ = kill_process(process, Signal::KILL);
            }
            // Half of the piece arrives.
            return to.write_all(&piece[..count / 2]);
        }
        to.write_all(&piece[..count])?;
    }
}

/// A run in a process of its own, which ends itself before the step of this number; 0: at none.
fn spawn(place: &Place, step: u64) -> Child {
    spawn_until(place, "", step)
}

/// The same; only the steps of this name are counted.
pub fn spawn_until(place: &Place, name: &str, step: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::the_process_that_is_killed", "--ignored", "--nocapture"]);
    let scratch = place.directory.join("tmp");
    fs_err::create_dir_all(&scratch).unwrap();
    command.env("CALYPTE_TEST_PLACE", &place.directory).env("CALYPTE_TEST_MIRROR", &place.mirror);
    command.env("CALYPTE_TEST_REGISTRY", &place.registry).env("CALYPTE_TEST_STEP", step.to_string());
    command.env("CALYPTE_TEST_STEP_NAME", name);
    if let Some(git) = &place.git {
        command.env("CALYPTE_TEST_GIT", git.branch.as_deref().unwrap_or_default());
    }
    command.env("TMPDIR", scratch).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the other process is told by its environment what to do")]
pub fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
#[ignore = "run by the tests that kill it"]
fn the_process_that_is_killed() {
    let Some(directory) = told("CALYPTE_TEST_PLACE") else { return };
    let place = Place {
        directory: PathBuf::from(directory),
        mirror: told("CALYPTE_TEST_MIRROR").unwrap(),
        registry: told("CALYPTE_TEST_REGISTRY").unwrap(),
        git: told("CALYPTE_TEST_GIT").map(|branch| GitTarget {
            branch: Some(branch).filter(|branch| !branch.is_empty()),
            remote: None,
            name: "Robot".to_owned(),
            address: "robot@example.org".to_owned(),
        }),
    };
    let name = told("CALYPTE_TEST_STEP_NAME").unwrap_or_default();
    let last: u64 = told("CALYPTE_TEST_STEP").unwrap().parse().unwrap();
    let count = AtomicU64::new(0);
    let step = |at: &str| {
        if !name.is_empty() && name != at {
            return;
        }
        if count.fetch_add(1, Ordering::Relaxed) + 1 == last {
            let _ = kill_process(rustix::process::getpid(), Signal::KILL);
        }
    };
    let report = place.run(&step, 0).unwrap();
    assert!(report.succeeded(), "{report:#?}");
}

/// Empties registry and store, but for what was downloaded.
fn anew(world: &mut World) {
    drop(world.stop_registry());
    for name in ["registry", "store/pipeline", "store/cache", "catalog/locks"] {
        let path = world.place.directory.join(name);
        if path.exists() {
            fs_err::remove_dir_all(path).unwrap();
        }
    }
    world.start_registry(TcpListener::bind("127.0.0.1:0").unwrap());
}

/// All that is published: tags, and how often what is said of each image.
type Outcome = (BTreeMap<String, calypte_base::Digest>, Vec<BTreeMap<String, usize>>);

fn outcome(place: &Place) -> Outcome {
    let said = (0..10).map(|number| place.referrers(&format!("f{number}"))).collect();
    (place.tags(), said)
}

fn is_consistent(store: &Path) {
    let state = State::open(store).unwrap();
    assert_eq!(state.check().unwrap(), "ok");
    let summary = state.summary(UNIVERSE, now()).unwrap();
    assert_eq!((summary.published.len(), summary.dirty.len()), (10, 0));
    assert!(summary.published.iter().all(|one| one.times == 1), "{summary:#?}");
}

#[test]
fn a_run_that_is_killed_anywhere_is_completed_by_the_next() {
    let Some(mut world) = crate::world() else { return };
    world.release(1);
    let steps = AtomicU64::new(0);
    let report = world
        .place
        .run(
            &|_| {
                steps.fetch_add(1, Ordering::Relaxed);
            },
            0,
        )
        .unwrap();
    assert!(report.succeeded());
    let undisturbed = outcome(&world.place);
    assert_eq!(undisturbed.0.len(), 10);
    let steps = steps.into_inner();
    let wanted = told("CALYPTE_TEST_KILLS").and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (mut killed, mut dice, mut rounds) = (0, Dice(7), 0);
    while killed < wanted {
        anew(&mut world);
        rounds += 1;
        let line = Line::new(&world.place.registry);
        let place = Place { registry: line.address.clone(), ..world.place.clone() };
        loop {
            // Every other time in the middle of what goes over the line.
            let over_line = dice.below(2) == 0;
            let step = if over_line { 0 } else { 1 + dice.below(steps / 2) };
            line.left.store(0, Ordering::SeqCst);
            let mut child = spawn(&place, step);
            line.victim.store(child.id().into(), Ordering::SeqCst);
            line.left.store(if over_line { 1 + dice.below(250) } else { 0 }, Ordering::SeqCst);
            let mut text = String::new();
            drop(child.stderr.take().unwrap().read_to_string(&mut text));
            let status = child.wait().unwrap();
            line.left.store(0, Ordering::SeqCst);
            if status.success() {
                break;
            }
            assert_eq!(status.signal(), Some(9), "{text}");
            killed += 1;
        }
        let (tags, said) = outcome(&world.place);
        assert_eq!(tags, undisturbed.0);
        assert_eq!(said, undisturbed.1);
        is_consistent(&world.store());
        #[expect(clippy::print_stderr, reason = "what was measured is told")]
        {
            eprintln!("killed {killed} times in {rounds} rounds of up to {steps} steps");
        }
    }
}
