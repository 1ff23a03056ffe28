//! The command line as clap reads it: options that every command takes, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::mirrors;
use crate::output::{Color, Format};

/// Makes distroless container images out of a distribution's packages, reproducibly and without running any of them
#[derive(Debug, Parser)]
#[command(name = "calypte", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "A first look: calypte up --once")]
pub struct Arguments {
    #[command(flatten)]
    /// Options of every command.
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Directory of the catalog [default: $CALYPTE_CATALOG, or `catalog`]
    #[arg(long, global = true, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Directory of the store: packages, layers, results [default: $CALYPTE_STORE, or `calypte` in the user's cache]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Never touch the network
    #[arg(long, global = true)]
    pub offline: bool,
    /// Use this mirror instead of the machine's own apt sources; repeatable
    #[arg(long, global = true, value_name = "NAME=URL", value_parser = mirrors::parse)]
    pub mirror: Vec<(String, String)>,
    /// Also take packages from a directory that `calypte archive` wrote; repeatable
    #[arg(long, global = true, value_name = "DIR")]
    pub archive: Vec<PathBuf>,
    /// Take packages from a directory of this machine too, `DIR/deb` or `DIR/rpm`: nobody signs these, so name only what you
    /// trust as yourself
    #[arg(long, global = true, value_name = "DIR")]
    pub overlay: Option<PathBuf>,
    /// Give a mirror up after so many seconds without a byte
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
    /// Threads to work with [default: one a processor]
    #[arg(long, global = true, value_name = "N")]
    pub jobs: Option<usize>,
    /// Form of what is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub format: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Show no progress; warnings and errors remain
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Write progress as JSON lines to this open file descriptor
    #[arg(long, global = true, value_name = "FD")]
    pub progress_fd: Option<u32>,
}

/// The commands, each in a file of its own.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, test and show every image of the catalog
    Up(commands::up::Arguments),
    /// List the images of the catalog
    List(commands::list::Arguments),
    /// Show the catalog: its families, how large they are, and pages about them
    Catalog(commands::catalog::Arguments),
    /// Make the definition of an image family from a package
    New(commands::new::Arguments),
    /// Choose the packages of image families and write their locks
    Lock(commands::lock::Arguments),
    /// Build an image from its lock
    Build(commands::build::Arguments),
    /// Show what is in an image, and why
    Show(commands::show::Arguments),
    /// Write what is in an image for other tools: its bill of materials
    Sbom(commands::sbom::Arguments),
    /// Look for known flaws in an image, and let a gate decide
    Scan(commands::scan::Arguments),
    /// Write an image of a host to a disk that machines boot from
    Disk(commands::disk::Arguments),
    /// Check images of hosts
    Os(commands::os::Arguments),
    /// Update and show the database of known flaws
    Advisories(commands::advisories::Arguments),
    /// Show which images of the catalog a flaw concerns
    Affected(commands::affected::Arguments),
    /// Write what is known of images' flaws for scanners: OpenVEX, CSAF, OSV
    Vex(commands::vex::Arguments),
    /// Compare two images or locks
    Diff(commands::diff::Arguments),
    /// Make what turns one image into another, or apply it
    Delta(commands::delta::Arguments),
    /// Run an image's tests in a container engine
    Test(commands::test::Arguments),
    /// Fetch an image from a registry, without what is on the machine already
    Pull(commands::pull::Arguments),
    /// Ask the policy whether an image may be published
    Gate(commands::gate::Arguments),
    /// Publish images in a registry, under all their tags
    Push(commands::push::Arguments),
    /// Keep what is published fresh: rebuild, test and publish what a change concerns
    Pipeline(commands::pipeline::Arguments),
    /// Sign an image that is in a layout or a registry
    Sign(commands::sign::Arguments),
    /// Check who signed an image in a registry, and what is said of it
    Verify(commands::verify::Arguments),
    /// Make a published image again from its provenance alone, and compare
    Rebuild(commands::rebuild::Arguments),
    /// Make a pair of keys to sign images with
    Key(commands::key::Arguments),
    /// Serve a registry over the store, for any container engine to pull from
    Serve(commands::serve::Arguments),
    /// Remove from the store what nothing has used for long
    Gc(commands::gc::Arguments),
    /// Let agents ask about the catalog, over the Model Context Protocol on standard input and output
    Mcp(commands::mcp::Arguments),
    /// Save every package that locks name, so that a rebuild outlives the mirror
    Archive(commands::archive::Arguments),
    /// Print a completion script for a shell
    Completions(commands::completions::Arguments),
    /// Write the reference pages and manual pages of this program
    #[command(hide = true)]
    Reference(commands::reference::Arguments),
    /// Connect to a port on loopback (run by tests inside a container's network)
    #[command(hide = true)]
    Probe(commands::probe::Arguments),
}
