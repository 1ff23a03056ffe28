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
    /// Directory to write `cli.md` and `environment.md` to
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
    fs_err::write(arguments.directory.join("environment.md"), environment())?;
    if let Some(man) = &arguments.man {
        fs_err::create_dir_all(man)?;
        clap_mangen::generate_to(crate::arguments::Arguments::command(), man)?;
    }
    Ok(Verdict::Yes)
}

/// The whole command line as one page.
#[must_use]
pub fn cli() -> String {
    let mut command = crate::arguments::Arguments::command().term_width(100);
    command.build();
    let mut page = "# Command line\n\nWritten by `cargo xtask generate`.\n".to_owned();
    section(&mut command, "calypte", &mut page);
    let visible: Vec<String> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in visible.iter().filter(|name| *name != "help") {
        if let Some(sub) = command.find_subcommand_mut(name) {
            let mut sub = std::mem::take(sub).term_width(100);
            section(&mut sub, &format!("calypte {name}"), &mut page);
        }
    }
    page
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
