//! Results as text for people.

use super::output::{bytes, printable, table};
use crate::diff::{Difference, ListChanges};
use crate::etc::{Drift, DriftKind};
use crate::finalize::Switched;
use crate::fsck::Checked;
use crate::gc::Collected;
use crate::health::Health;
use crate::packages::PackageChanges;
use crate::state::Deployment;
use crate::status::{HostStatus, Slot};
use crate::upgrade::{Outcome, Upgrade};

fn dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

pub(super) fn status(host: &HostStatus) -> String {
    let status = &host.status;
    let mut rows = vec![["", "VERSION", "BUILT", "IMAGE", "BOOT", "KERNEL"].map(str::to_owned).to_vec()];
    let mut notes = String::new();
    let first = if status.running { "running" } else { "installed" };
    let slots = [("staged", &status.staged), (first, &status.booted), ("rollback", &status.rollback)];
    for (name, slot) in slots.iter().filter_map(|(name, slot)| Some((name, slot.as_ref()?))) {
        rows.push(row(name, slot));
        if let Some(reason) = &slot.failed {
            notes.push_str(&format!("{name}: did not start properly: {reason}\n"));
        }
        for path in &slot.etc_kept {
            notes.push_str(&format!("{name}: {path}: yours is kept, the image has another new one\n"));
        }
    }
    if rows.len() == 1 {
        return "nothing is installed\n".to_owned();
    }
    if status.rollback_queued {
        notes.push_str("the next boot takes `rollback`\n");
    }
    if status.etc_changes > 0 {
        notes.push_str(&format!(
            "{} paths in /etc differ from the image (`calypte-host etc`)\n",
            status.etc_changes
        ));
    }
    if status.health.as_ref().is_some_and(|health| health["good"] == false) {
        notes.push_str("the last health checks failed:\n");
        let checks = status.health.iter().flat_map(|health| health["checks"].as_array()).flatten();
        for check in checks.filter(|check| check["passed"] == false) {
            let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            notes.push_str(&format!("  {}: {}\n", text("name"), text("message").replace('\n', "; ")));
        }
    }
    table(&rows) + &printable(&notes)
}

fn row(name: &str, slot: &Slot) -> Vec<String> {
    let tries = slot.entry.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
    vec![
        name.to_owned(),
        dash(slot.image.version.as_deref()),
        dash(slot.image.timestamp.as_deref()),
        slot.image.image.image.clone(),
        format!("{}{tries}", slot.entry.state),
        slot.kernel.clone(),
    ]
}

pub(super) fn upgrade(upgrade: &Upgrade) -> String {
    let version = upgrade.version.as_deref().unwrap_or("without a version");
    let mut text = match upgrade.outcome {
        Outcome::UpToDate => format!("{} is up to date\n", upgrade.image),
        Outcome::AlreadyStaged => {
            format!("{} is staged already: the next restart switches to it\n", upgrade.image)
        }
        Outcome::Available => format!(
            "{} has something newer: {version}, {} to fetch at most\n",
            upgrade.image,
            bytes(upgrade.fetched)
        ),
        Outcome::Downloaded => {
            format!("{version} is on the machine, {} were fetched\n", bytes(upgrade.fetched))
        }
        Outcome::Staged => format!(
            "{version} is staged, {} were fetched: the next restart switches to it\n",
            bytes(upgrade.fetched)
        ),
    };
    for path in &upgrade.etc_kept {
        text.push_str(&format!("{path}: yours is kept, the image has another new one\n"));
    }
    printable(&text)
}

pub(super) fn switched(switched: &Switched) -> String {
    let version = switched.version.as_deref().unwrap_or("a version without a name");
    let mut text = format!("the next boot takes {version}\n");
    for path in &switched.etc_kept {
        text.push_str(&format!("{path}: yours is kept, the image has another new one\n"));
    }
    printable(&text)
}

pub(super) fn installed(deployment: &Deployment) -> String {
    let version = deployment.version.as_deref().unwrap_or("without a version");
    printable(&format!("{} {version} is installed, kernel {}\n", deployment.title, deployment.kernel))
}

pub(super) fn difference(difference: &Difference) -> String {
    if difference.same {
        return printable(&format!("{} is what runs\n", difference.image));
    }
    let mut text = format!(
        "{}: {} → {}, built {}\n",
        difference.image,
        dash(difference.from.as_deref()),
        dash(difference.to.as_deref()),
        dash(difference.created.as_deref())
    );
    if let Some(reason) = &difference.refused {
        text.push_str(&format!("an upgrade would be refused: {reason}\n"));
    }
    text.push_str(&format!("{} in {} layers to fetch at most\n", bytes(difference.fetch), difference.layers));
    match &difference.packages {
        Some(changes) => text.push_str(&packages(changes)),
        None => text.push_str("nothing says which packages change\n"),
    }
    match &difference.flaws {
        Some(flaws) => {
            let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            text.push_str(&format!("known flaws fixed: {}\n", list(&flaws.fixed)));
            text.push_str(&format!("known flaws new: {}; {} stay\n", list(&flaws.new), flaws.staying));
        }
        None => text.push_str("nothing says which known flaws are fixed\n"),
    }
    if let Some(changes) = &difference.kernel_arguments {
        text.push_str(&words("kernel arguments", changes));
    }
    if let Some(etc) = &difference.etc {
        etc.conflicts.iter().for_each(|path| text.push_str(&format!("/etc conflict: {path}\n")));
        for path in &etc.kept {
            text.push_str(&format!("{path}: yours is kept, the image has another new one\n"));
        }
    }
    printable(&text)
}

fn words(what: &str, changes: &ListChanges) -> String {
    let added = changes.added.iter().map(|word| format!("+{word}"));
    let all: Vec<String> = added.chain(changes.removed.iter().map(|word| format!("-{word}"))).collect();
    if all.is_empty() { String::new() } else { format!("{what}: {}\n", all.join(" ")) }
}

fn packages(changes: &PackageChanges) -> String {
    let mut rows = Vec::new();
    for package in &changes.changed {
        rows.push(vec![format!("  {}", package.name), package.from.clone(), "→".into(), package.to.clone()]);
    }
    for package in &changes.added {
        rows.push(vec![format!("  {}", package.name), "-".into(), "→".into(), package.version.clone()]);
    }
    for package in &changes.removed {
        rows.push(vec![format!("  {}", package.name), package.version.clone(), "→".into(), "-".into()]);
    }
    format!(
        "packages: {} changed, {} added, {} removed\n{}",
        changes.changed.len(),
        changes.added.len(),
        changes.removed.len(),
        table(&rows)
    )
}

pub(super) fn drift(drift: &[Drift]) -> String {
    let mut text = String::new();
    for change in drift {
        let word = match change.kind {
            DriftKind::Added => "added",
            DriftKind::Removed => "removed",
            DriftKind::Changed => "changed",
            DriftKind::Attributes => "attributes",
        };
        let note = if change.own { "  (written by the machine itself)" } else { "" };
        text.push_str(&format!("{word:<10}  {}{note}\n", change.path));
    }
    if drift.is_empty() { "/etc is the image's\n".to_owned() } else { printable(&text) }
}

pub(super) fn checked(checked: &Checked) -> String {
    let mut text = format!(
        "{} objects ({}), {} images and {} deployments were read\n",
        checked.objects,
        bytes(checked.bytes),
        checked.images,
        checked.deployments
    );
    checked.faults.iter().for_each(|fault| text.push_str(&format!("fault: {fault}\n")));
    for path in &checked.leftovers {
        text.push_str(&format!("left over: {} (`calypte-host gc` removes it)\n", path.display()));
    }
    if checked.faults.is_empty() {
        text.push_str("all is well\n");
    }
    printable(&text)
}

pub(super) fn collected(collected: &Collected, dry_run: bool) -> String {
    let verb = if dry_run { "would be removed" } else { "removed" };
    printable(&format!(
        "{verb}: {} deployments, {} images, {} objects ({}), {} records of layers, {} leftovers\n",
        collected.deployments.len(),
        collected.images.len(),
        collected.objects,
        bytes(collected.bytes),
        collected.layers,
        collected.leftovers.len()
    ))
}

pub(super) fn health(health: &Health) -> String {
    let mut text = String::new();
    for check in &health.checks {
        let word = match (check.passed, check.required) {
            (true, _) => "passed",
            (false, true) => "FAILED",
            (false, false) => "failed (wanted)",
        };
        text.push_str(&format!("{word}  {}\n", check.name));
        if !check.passed {
            check.message.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text.push_str(if health.good { "this boot is good\n" } else { "this boot is bad\n" });
    printable(&text)
}
