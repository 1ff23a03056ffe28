//! RPM mirrors that are wrong, in each way that the fixture's server knows: every one is refused before anything of it
//! is used, with what is wrong, and no lock is written.

use anyhow::{Context as _, Result, ensure};
use calypte_rpm_universe::{Behaviour, VICTIM};

use crate::case::Case;
use crate::fedora::{Fedora, UNIVERSE};
use crate::live_fedora::unreviewed;
use crate::needs::Need;
use crate::world::{World, fails, run};

pub const CASES: &[Case] = &[
    Case { name: "bad_rpm_mirrors_are_refused", needs: &[Need::RpmFixture], run: refused },
    Case { name: "an_rpm_mirror_one_state_behind_is_accepted", needs: &[Need::RpmFixture], run: one_behind },
    Case { name: "an_rpm_repository_that_goes_back_is_refused", needs: &[Need::RpmFixture], run: rollback },
    Case { name: "an_unread_scriptlet_is_refused", needs: &[Need::RpmFixture], run: unread_scriptlet },
];

/// What the server does, and words of the error.
const REFUSED: &[(Behaviour, &[&str])] = &[
    (Behaviour::MirrorBehindMetalink, &["repomd.xml", "sha256"]),
    (Behaviour::MetalinkBehindMirror, &["repomd.xml"]),
    (Behaviour::NoMetalink, &["metalink", "404"]),
    (Behaviour::FilelistsDisagree, &["filelists", VICTIM]),
    (Behaviour::Unsigned, &[VICTIM, "not signed"]),
    (Behaviour::OtherKey, &[VICTIM, "key"]),
    (Behaviour::Altered, &[VICTIM, "payload"]),
    (Behaviour::AlteredOnTheWay, &[VICTIM, "sha256"]),
    (Behaviour::CutOff, &[VICTIM]),
];

fn refused(_: &World) -> Result<()> {
    let mut wrong = Vec::new();
    for (behaviour, words) in REFUSED {
        let fedora = Fedora::new(*behaviour)?;
        let lock = ["lock", "nginx", "--universe", UNIVERSE, "--timeout", "5"];
        let error = fails(&mut fedora.calypte(&lock), 2).with_context(|| format!("{behaviour:?}"))?;
        let lock = fedora.catalog().join("locks").join(UNIVERSE).join("nginx.lock");
        ensure!(!lock.exists(), "{behaviour:?}: a lock was written");
        let missing: Vec<&str> = words.iter().filter(|word| !error.contains(**word)).copied().collect();
        if !missing.is_empty() {
            wrong.push(format!("{behaviour:?}: the error does not say {missing:?}:\n{error}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn one_behind(_: &World) -> Result<()> {
    let fedora = Fedora::new(Behaviour::MirrorOneBehind)?;
    // The older state lacks one package, which `base` does not need.
    run(&mut fedora.calypte(&["lock", "base", "--universe", UNIVERSE]))?;
    Ok(())
}

fn rollback(_: &World) -> Result<()> {
    let fedora = Fedora::new(Behaviour::Honest)?;
    let lock = ["lock", "base", "--universe", UNIVERSE];
    run(&mut fedora.calypte(&lock))?;
    fedora.server.behave(Behaviour::Older);
    let error = fails(&mut fedora.calypte(&lock), 2)?;
    ensure!(error.contains("going back") && error.contains("rawhide"), "{error}");
    fedora.server.behave(Behaviour::Honest);
    run(&mut fedora.calypte(&lock))?;
    Ok(())
}

fn unread_scriptlet(_: &World) -> Result<()> {
    let fedora = Fedora::new(Behaviour::Honest)?;
    let scripts = fedora.catalog().join("universes/fedora/scripts.yaml");
    let reviewed = fs_err::read_to_string(&scripts)?;
    let kept: Vec<&str> =
        reviewed.split("\n- ").filter(|entry| !entry.starts_with("package: nginx-core\n")).collect();
    ensure!(kept.len() + 1 == reviewed.split("\n- ").count(), "nginx-core has no review");
    fs_err::write(&scripts, kept.join("\n- "))?;
    let lock = ["lock", "nginx", "--universe", UNIVERSE];
    let error = fails(&mut fedora.calypte(&lock), 2)?;
    let table = scripts.display().to_string();
    for word in [VICTIM, "1 scriptlet that nobody has reviewed", "kill -USR2", "sha256", &table] {
        ensure!(error.contains(word), "the error does not say `{word}`:\n{error}");
    }
    let entries = unreviewed(&error);
    let [entry] = entries.as_slice() else { anyhow::bail!("{entries:#?} are not one entry:\n{error}") };
    // Pasted as it is it is refused, and with a verdict it is what was missing.
    fs_err::write(&scripts, format!("{}\n{entry}\n", kept.join("\n- ")))?;
    ensure!(fails(&mut fedora.calypte(&lock), 2)?.contains("verdict"), "an entry without a verdict is taken");
    let read = entry.replace("verdict:", "verdict: no-op");
    fs_err::write(&scripts, format!("{}\n{read}\n", kept.join("\n- ")))?;
    run(&mut fedora.calypte(&lock))?;
    Ok(())
}
