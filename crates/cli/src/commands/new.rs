//! `calypte new`: makes the definition of an image family from a package.

use anyhow::Result;
use calypte_pipeline::draft::{Draft, DraftRequest};

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output;
use crate::session::Session;

/// Most packages and programs that are named one by one.
const NAMED: usize = 12;

/// Options of `calypte new`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The package is resolved, fetched and looked at: its programs, its services with their command, \
user and state, its configuration, what it says of itself. Nothing of it is run. What is written is a beginning that the \
catalog can read; what a person has to look at is printed. A file that is there is never overwritten."
)]
pub struct Arguments {
    /// The family's name
    #[arg(value_name = "FAMILY")]
    family: String,
    /// The package [default: the one of the family's name]
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// The universe to take it from
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
}

/// Writes the definition and says what to look at.
///
/// # Errors
/// When there is such a family, or the package cannot be had.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let request = DraftRequest {
        family: &arguments.family,
        package: arguments.package.as_deref().unwrap_or(&arguments.family),
        universe: &arguments.universe,
    };
    let draft = factory.draft(request)?;
    if session.is_json() {
        output::json("calypte.new/1", &draft)?;
    } else {
        output::print(&output::printable(&text(&draft)))?;
    }
    Ok(Verdict::Yes)
}

fn text(draft: &Draft) -> String {
    let list = |names: &mut dyn Iterator<Item = &String>| -> String {
        let all: Vec<&str> = names.map(String::as_str).collect();
        let more =
            if all.len() > NAMED { format!(", and {} more", all.len() - NAMED) } else { String::new() };
        let shown = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if shown.is_empty() { "none".to_owned() } else { shown + &more }
    };
    let mut text = format!(
        "{} is made of {} {} in {}\n\nprograms: {}\nservices: {}\nbrings: {}\n\nLook at:\n",
        draft.file.display(),
        draft.package,
        draft.version,
        draft.universe,
        list(&mut draft.programs.iter()),
        list(&mut draft.services.iter()),
        list(&mut draft.brings.iter()),
    );
    for note in &draft.notes {
        text.push_str(&format!("  - {note}\n"));
    }
    let universe = &draft.universe;
    let family = &draft.family;
    text.push_str("  - what it brings: is each of these packages needed where it runs?\n");
    text.push_str(&format!(
        "\nGo on with:\n  calypte lock {family} --universe {universe}\n  calypte test {family} --universe {universe}\n"
    ));
    text
}
