//! `calypte disk`: an image of a host → a disk that machines boot from, with the writer by which a host installs itself.
//! Neither loop devices nor mounts are needed; the owners of `/etc` and `/var` are set in a work directory, which only root
//! can do.

use std::io::Seek as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_disk::qcow2;
use calypte_host::boot::Esp;
use calypte_host::deploy::Wishes;
use calypte_host::install::InstallOptions;
use calypte_host::source::ImageReference;
use calypte_host::to_disk::DiskOptions;
use calypte_host::trust::Policy;
use calypte_host::{Host, Reporter as HostReporter, SystemRoot};
use calypte_image::Output;
use calypte_pipeline::Reporter as _;
use calypte_pipeline::build::BuildRequest;
use calypte_pipeline::subject::Subject;
use calypte_store::registry::RegistrySettings;
use clap::ValueEnum;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output;
use crate::progress::Terminal;
use crate::session::Session;

const MEBIBYTE: u64 = 1024 * 1024;

/// What a machine is told of where its image is from, if nobody says it: the path of a layout on the machine that made the
/// disk means nothing to it, and would make two disks of one image differ.
const NOWHERE: &str = "oci:no-source-was-named";

/// Options of `calypte disk`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The disk has a boot partition and a root that takes the rest of it. The same image gives the same bytes: \
every UUID comes from its digest, every time from its own.\n\nAn image of the catalog is built from its lock; one of a \
layout is taken as it is, whoever made it."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT], oci:DIR[:TAG] or oci-archive:FILE[:TAG]
    image: String,
    /// The universe, for an image of the catalog
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architecture [default: this machine's]
    #[arg(long)]
    arch: Option<Architecture>,
    /// The form of the disk
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t = Form::Raw)]
    form: Form,
    /// Where to
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Size of the disk in MiB [default: what is needed, and 1 GiB]
    #[arg(long, value_name = "MIB")]
    size: Option<u64>,
    /// Size of the boot partition in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    esp_size: u64,
    /// A kernel argument of the machine's own; repeatable, and only with text entries
    #[arg(long, value_name = "ARGUMENT")]
    karg: Vec<String>,
    /// How it boots
    #[arg(long, value_enum, default_value_t = BootEntries::Auto)]
    boot_entries: BootEntries,
    /// Keys that may log in as root
    #[arg(long, value_name = "FILE")]
    root_ssh_authorized_keys: Option<PathBuf>,
    /// Where upgrades come from, as calypte-host takes it [default: nowhere, until `calypte-host switch` says it]
    #[arg(long, value_name = "REFERENCE")]
    upgrades: Option<String>,
}

/// The form of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As it lies on a device, holes left out
    Raw,
    /// Of QEMU, compressed
    Qcow2,
}

/// How a disk boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BootEntries {
    /// By the unified kernel image, where the image has one
    Auto,
    /// By text entries
    Bls,
}

#[derive(Serialize)]
struct Report<'a> {
    image: &'a str,
    output: String,
    form: Form,
    size: u64,
    digest: Digest,
    deployment: String,
}

/// Writes a disk, and prints its digest.
///
/// # Errors
/// When the image cannot be built or read, is none of a host, or does not fit.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let architecture = arguments.arch.unwrap_or_else(super::native_architecture);
    let beside = arguments.output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let scratch = tempfile::tempdir_in(beside.unwrap_or(Path::new(".")))?;
    let image = layout(session, arguments, architecture, scratch.path())?;
    let raw = match arguments.form {
        Form::Raw => arguments.output.clone(),
        Form::Qcow2 => scratch.path().join("raw"),
    };
    let deployment = write(session, arguments, architecture, &image, &raw, &scratch.path().join("work"))?;
    if arguments.form == Form::Qcow2 {
        convert(&raw, &arguments.output)?;
    }
    let mut file = fs_err::File::open(&arguments.output)?;
    let mut hasher = calypte_base::Hasher::new();
    let size = std::io::copy(&mut file, &mut hasher)?;
    let digest = hasher.finish();
    if session.is_json() {
        let output = arguments.output.display().to_string();
        let report =
            Report { image: &arguments.image, output, form: arguments.form, size, digest, deployment };
        output::json("calypte.disk/1", &report)?;
    } else {
        output::print(&format!("{}: {}, {digest}\n", arguments.output.display(), output::bytes(size)))?;
    }
    Ok(Verdict::Yes)
}

/// The image as a layout or an archive, built if it is one of the catalog.
fn layout(
    session: &Session,
    arguments: &Arguments,
    architecture: Architecture,
    scratch: &Path,
) -> Result<ImageReference> {
    let text = match Subject::parse(&arguments.image)? {
        Subject::Layout(text) if !text.starts_with("docker-archive:") => text,
        Subject::Catalog(name) => {
            let factory = session.factory()?;
            let request = BuildRequest {
                image: factory.image_id(&name, &arguments.universe)?,
                universe: arguments.universe.clone(),
                architectures: vec![architecture],
                layers: factory.layer_options(),
            };
            let built = factory.build(&request)?;
            let text = format!("oci:{}", scratch.join("image").display());
            text.parse::<Output>()?.write(&built.index, factory.store())?;
            text
        }
        other => bail!(
            "`{other}` cannot be written to a disk\nhint: fetch it first: calypte pull {other} --output oci:DIR"
        ),
    };
    Ok(text.parse()?)
}

fn write(
    session: &Session,
    arguments: &Arguments,
    architecture: Architecture,
    image: &ImageReference,
    target: &Path,
    work: &Path,
) -> Result<String> {
    let told = Told(&session.terminal);
    let host = Host {
        system: SystemRoot::new(work),
        esp: Esp::new(work, architecture),
        running: None,
        architecture,
        now: Epoch(0),
        // Whoever makes a disk has chosen the image; what machines accept later on is the image's own policy.
        policy: Policy { insecure: true, ..Policy::default() },
        network: RegistrySettings { network: session.network(), plain_http: false, auth_files: Vec::new() },
        reporter: &told,
        interrupted: &session.interrupted,
    };
    let digest = host.source(image)?.find(architecture)?.descriptor.digest;
    let keys = arguments.root_ssh_authorized_keys.as_ref().map(fs_err::read).transpose()?;
    let install = InstallOptions {
        image: image.clone(),
        upgrades: Some(arguments.upgrades.as_deref().unwrap_or(NOWHERE).parse()?),
        wishes: Wishes {
            options: arguments.karg.clone(),
            bls: arguments.boot_entries == BootEntries::Bls || !arguments.karg.is_empty(),
            sealed: None,
        },
        root_keys: keys,
    };
    let disk = DiskOptions {
        target: target.to_owned(),
        wipe: true,
        seed: Digest::of(digest.to_string().as_bytes()),
        reproducible: true,
        size: arguments.size.map(|size| size.saturating_mul(MEBIBYTE)),
        esp_size: arguments.esp_size.saturating_mul(MEBIBYTE),
        work: work.to_owned(),
    };
    let deployment = host.install_to_disk(&install, &disk)?;
    Ok(deployment.digest.0.to_string())
}

/// The raw disk as an image of QEMU's.
fn convert(raw: &Path, target: &Path) -> Result<()> {
    let mut disk = fs_err::File::open(raw)?;
    let size = disk.metadata()?.len();
    let mut data = Vec::new();
    let mut at = 0;
    // Holes are not read: they are most of the disk.
    while let Ok(start) = rustix::fs::seek(disk.file(), rustix::fs::SeekFrom::Data(at)) {
        let end =
            rustix::fs::seek(disk.file(), rustix::fs::SeekFrom::Hole(start)).context("a disk's holes")?;
        data.push(start..end);
        at = end;
    }
    disk.rewind()?;
    let file = std::io::BufWriter::new(fs_err::File::create(target)?);
    qcow2::write(&mut disk, size, &data, true, file)?.into_inner().context("the disk's image")?.sync_all()?;
    Ok(())
}

/// Tells the terminal.
struct Told<'a>(&'a Terminal);

impl HostReporter for Told<'_> {
    fn step(&self, text: &str) {
        self.0.step(text);
    }

    fn warn(&self, text: &str) {
        // What is meant for whoever installs an image of somebody else.
        if !text.contains("unsigned") {
            self.0.warn(text);
        }
    }
}
