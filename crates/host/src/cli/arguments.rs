//! The arguments as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps a host that is an image up to date: whole or not at all, checked, and with a way back
#[derive(Debug, Parser)]
#[command(name = "calypte-host", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 a check or policy said no, 2 an error, 130 interrupted.")]
pub struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// Directory of the root file system
    #[arg(long, global = true, value_name = "DIR", default_value = "/sysroot")]
    pub(super) sysroot: PathBuf,
    /// Directory of the boot partition [default: where it is mounted]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) esp: Option<PathBuf>,
    /// Accept the key in this PEM file too; repeatable
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,
    /// Read policy and keys below this directory (usr/lib/calypte, etc/calypte)
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide = true)]
    pub(super) config_root: PathBuf,
    /// Digest of the deployment that is taken as the running one [default: what the kernel was booted with]
    #[arg(long, global = true, value_name = "DIGEST", hide = true)]
    pub(super) running: Option<String>,
    /// Form of what is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(super) format: Format,
    /// Show no progress; warnings and errors remain
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Give a registry up after so many seconds without a byte
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    pub(super) timeout: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text and tables for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what runs, what comes at the next boot, and what can be gone back to
    Status,
    /// Bring the newest image onto the machine; the next shutdown switches to it
    Upgrade(Upgrade),
    /// Take upgrades from another image, and bring it onto the machine
    Switch(Switch),
    /// Make the deployment before this one the next to boot; said twice, it is undone
    Rollback(Rollback),
    /// Show what an upgrade would change: packages, known flaws, kernel arguments, /etc, bytes
    Diff(Diff),
    /// Install an image
    #[command(subcommand)]
    Install(Install),
    /// Show what in /etc differs from the image
    Etc,
    /// Read and check every object, image, deployment and boot entry
    Fsck,
    /// Remove what no deployment needs
    Gc(Gc),
    /// Decide whether this boot is good
    #[command(subcommand)]
    Health(Health),
    /// Switch to the staged deployment now; a unit does this at shutdown
    Finalize,
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(super) struct Taking {
    /// Take an image that is older than one that was here
    #[arg(long)]
    pub(super) allow_older: bool,
    /// Take an image that failed on this machine before
    #[arg(long)]
    pub(super) retry: bool,
    /// Restart the machine afterwards
    #[arg(long)]
    pub(super) apply: bool,
    /// Add a kernel argument for this and later deployments; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) karg: Vec<String>,
    /// Take back a kernel argument that was added; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) karg_delete: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// Only look whether there is something newer
    #[arg(long, conflicts_with_all = ["download_only", "from_downloaded", "apply"])]
    pub(super) check: bool,
    /// Only bring it onto the machine
    #[arg(long, conflicts_with_all = ["from_downloaded", "apply"])]
    pub(super) download_only: bool,
    /// Only take what --download-only brought
    #[arg(long)]
    pub(super) from_downloaded: bool,
    #[command(flatten)]
    pub(super) taking: Taking,
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    /// The image: host/name[:tag], oci:DIR[:TAG] or oci-archive:FILE[:TAG]
    pub(super) image: String,
    #[command(flatten)]
    pub(super) taking: Taking,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// Restart the machine afterwards
    #[arg(long)]
    pub(super) apply: bool,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The image [default: the one that upgrades come from]
    pub(super) image: Option<String>,
    /// Look into the layers too: fetches them, and tells about /etc and kernel arguments
    #[arg(long)]
    pub(super) inside: bool,
}

#[derive(Debug, Args)]
pub(super) struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Install {
    /// Onto a mounted, empty root file system
    ToFilesystem(ToFilesystem),
    /// Onto a whole disk, or into a file
    ToDisk(ToDisk),
}

#[derive(Debug, Args)]
pub(super) struct Installing {
    /// The image: host/name[:tag], oci:DIR[:TAG] or oci-archive:FILE[:TAG]
    #[arg(long, value_name = "IMAGE")]
    pub(super) source: String,
    /// Where upgrades come from [default: the same]
    #[arg(long, value_name = "IMAGE")]
    pub(super) upgrades: Option<String>,
    /// Add a kernel argument; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) karg: Vec<String>,
    /// Boot by a text entry also where the image has a unified kernel image
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub(super) boot_entries: BootEntries,
    /// File with the public keys that may log in as root
    #[arg(long, value_name = "FILE")]
    pub(super) root_ssh_authorized_keys: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum BootEntries {
    /// The unified kernel image of the image, where it has one
    #[default]
    Auto,
    /// A text entry with kernel and initramfs beside it
    Bls,
}

#[derive(Debug, Args)]
pub(super) struct ToFilesystem {
    /// Directory where the root file system is mounted
    pub(super) root: PathBuf,
    #[command(flatten)]
    pub(super) installing: Installing,
}

#[derive(Debug, Args)]
pub(super) struct ToDisk {
    /// The disk's device, or a file
    pub(super) target: PathBuf,
    #[command(flatten)]
    pub(super) installing: Installing,
    /// Write over the partition table that is there
    #[arg(long)]
    pub(super) wipe: bool,
    /// Make every UUID from this text instead of chance
    #[arg(long, value_name = "TEXT")]
    pub(super) seed: Option<String>,
    /// Size of a file in MiB [default: as small as can be, and 1024 MiB free]
    #[arg(long, value_name = "MIB")]
    pub(super) size: Option<u64>,
    /// Size of the boot partition in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(super) esp_size: u64,
    /// Directory for what is in the making: needs as much space as the image [default: beside a file, else /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub(super) work_directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Health {
    /// Run the checks; a bad boot that is still being tried ends in a restart
    Run(HealthRun),
    /// Record that this boot is good
    Good,
}

#[derive(Debug, Args)]
pub(super) struct HealthRun {
    /// Do not restart the machine, whatever the checks say
    #[arg(long)]
    pub(super) no_restart: bool,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}
