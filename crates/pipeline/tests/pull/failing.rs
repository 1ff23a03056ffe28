//! Registries that die, and none at all: what came stays, and the message says what to do.

use calypte_pipeline::hint;
use calypte_pipeline::pull::Way;

use super::registry_server::Answer;
use super::{Listener, Machine, assert_written, honest, pair, serve};

/// What becomes of an answer.
type Death = fn(Answer) -> Answer;

#[test]
fn a_registry_that_dies_midway_costs_nothing_of_what_was_put_together() {
    /// Behind the part with the small file that changed, and before that of the large one.
    const MIDWAY: usize = 100_000;
    let (old, new) = pair();
    let machine = Machine::new();
    machine.pull(&honest(&old), "old", &[]);
    let layer = new.layers[0];
    let size = new.blobs[&layer].len();
    let deaths: [(&str, Death); 3] = [
        ("overloaded", |_| Answer::new(503, b"")),
        ("too many requests", |_| Answer::new(429, b"")),
        ("broken off", |answer| answer.cut(100)),
    ];
    for (name, death) in deaths {
        let dying = serve(&new, move |request, answer| {
            let is_dead = match request.range {
                Some((start, last)) => start > MIDWAY && last != Some(size - 1),
                None => true,
            };
            if is_dead && request.path.ends_with(&layer.to_string()) { death(answer) } else { answer }
        });
        let fresh = Machine::new();
        let from = [machine.layout("old")];
        let listener = Listener::default();
        let error = fresh.try_pull(&dying, &[fresh.output("new")], &from, &listener).unwrap_err();
        assert!(error.to_string().contains("cannot fetch bytes "), "{name}: {error}");
        assert!(hint(&error).is_some(), "{name}: {error}");
        assert_eq!(*listener.warnings.lock().unwrap(), Vec::<String>::new(), "{name}");
        let partial = fresh.store.root().join("partial").join(layer.hex());
        let kept = fs_err::metadata(&partial).unwrap().len();
        assert!(kept > MIDWAY as u64, "{name}: {kept} of {size} are kept");
        let (pulled, warnings) = fresh.pull(&honest(&new), "new", &from);
        let last = pulled.blobs.last().unwrap();
        assert_eq!((last.way, warnings), (Way::Parts, Vec::new()), "{name}");
        assert!(last.local >= kept, "{name}: {last:?}, and {kept} were kept");
        assert_written(&new, &fresh.directory.path().join("new"));
    }
}

#[test]
fn offline_it_is_not_said_that_another_run_would_help() {
    let (image, _) = pair();
    let machine = Machine::new();
    let server = honest(&image);
    machine.pull(&server, "layout", &[]);
    let offline = Listener { offline: true, ..Listener::default() };
    let error = machine.try_pull(&server, &[machine.output("again")], &[], &offline).unwrap_err();
    let expected = format!("offline, and the manifest 1.0 must come from {}", server.host);
    assert_eq!(error.to_string(), expected);
    let expected = "leave out --offline: the registry is asked each time, also for an image that was pulled before; \
                    what of it is in the store is not fetched again";
    assert_eq!(hint(&error).as_deref(), Some(expected));
}
