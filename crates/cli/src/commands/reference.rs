//! `calypte reference`: writes the pages that come out of this program's own definitions: the command line and the
//! environment as Markdown, and manual pages.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::Verdict;
use crate::environment;

/// Options of `calypte reference`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory to write `cli.md`, `host.md` and `environment.md` to
    directory: PathBuf,
    /// Directory to write manual pages to
    #[arg(long)]
    man: Option<PathBuf>,
}

/// Writes the pages.
///
/// # Errors
/// When a file cannot be written.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    fs_err::create_dir_all(&arguments.directory)?;
    fs_err::write(arguments.directory.join("cli.md"), cli())?;
    fs_err::write(arguments.directory.join("host.md"), host())?;
    fs_err::write(arguments.directory.join("environment.md"), environment())?;
    if let Some(man) = &arguments.man {
        fs_err::create_dir_all(man)?;
        clap_mangen::generate_to(crate::arguments::Arguments::command(), man)?;
        clap_mangen::generate_to(calypte_host::cli::Arguments::command(), man)?;
    }
    Ok(Verdict::Yes)
}

/// The whole command line of `calypte` as one page.
#[must_use]
pub fn cli() -> String {
    page("Command line", crate::arguments::Arguments::command())
}

/// The whole command line of `calypte-host` as one page.
#[must_use]
pub fn host() -> String {
    page("Command line on a host", calypte_host::cli::Arguments::command())
}

fn page(title: &str, command: clap::Command) -> String {
    let mut command = command.term_width(100);
    command.build();
    let mut page = format!("# {title}\n\nWritten by `cargo xtask generate`.\n");
    let name = command.get_name().to_owned();
    sections(&mut command, &name, &mut page);
    page
}

/// A command, and those below it in their order.
fn sections(command: &mut clap::Command, title: &str, page: &mut String) {
    section(command, title, page);
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let title = format!("{title} {}", sub.get_name());
        let mut sub = std::mem::take(sub).term_width(100);
        sections(&mut sub, &title, page);
    }
}

fn section(command: &mut clap::Command, title: &str, page: &mut String) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## `{title}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
}

/// The environment variables as one page.
#[must_use]
pub fn environment() -> String {
    let mut page = "# Environment variables\n\nWritten by `cargo xtask generate`.\n\n| variable | what it sets |\n|---|---|\n".to_owned();
    for variable in environment::ALL {
        let _ = writeln!(page, "| `{}` | {} |", variable.name, variable.about);
    }
    page
}
