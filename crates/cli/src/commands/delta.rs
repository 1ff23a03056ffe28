//! `calypte delta`: what makes one image out of another, made and applied.

use anyhow::Result;
use calypte_pipeline::delta::{self, Made, Rebuilt};

use crate::Verdict;
use crate::memory;
use crate::output::{self, Table};
use crate::session::Session;

/// Memory that is set aside for each bundle that is compressed: new and old bytes, and the compressor's tables.
const MEMORY_OF_A_BUNDLE: u64 = 600 * 1024 * 1024;

/// Options of `calypte delta`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "Images are oci:DIR[:TAG] or oci-archive:FILE[:TAG]. The delta is an OCI artifact about the new \
image; whoever has the old image makes the new one of both with `calypte delta apply`, to the last bit. Each of --jobs \
takes some 600 MB of memory."
)]
pub struct Arguments {
    #[command(subcommand)]
    apply: Option<Action>,
    /// The image that clients have
    #[arg(required = true)]
    old: Option<String>,
    /// The image that they are to get
    #[arg(required = true)]
    new: Option<String>,
    /// Where to: oci:DIR[:TAG]
    #[arg(short, long, value_name = "OUTPUT", required = true)]
    output: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make the new image out of the old one and a delta
    Apply(Apply),
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every layer is checked against its diff id and every blob against its digest; nothing is \
written when one is wrong."
)]
struct Apply {
    /// The delta: oci:DIR[:TAG] or oci-archive:FILE[:TAG]
    delta: String,
    /// The image that it is against
    #[arg(long, value_name = "IMAGE")]
    base: String,
    /// A layout with the new image, for what cannot be made here
    #[arg(long, value_name = "IMAGE")]
    fallback: Option<String>,
    /// Where to: oci:DIR[:TAG]
    #[arg(short, long, value_name = "OUTPUT")]
    output: String,
}

/// Makes or applies, and prints what came of it.
///
/// # Errors
/// When an image or the delta cannot be read, they do not fit, or the output cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    if let Some(Action::Apply(apply)) = &arguments.apply {
        let fallback = apply.fallback.as_deref();
        let (base, to) = (&apply.base, &apply.output);
        let rebuilt =
            delta::apply(&apply.delta, base, fallback, to, &session.interrupted, &session.terminal)?;
        if session.is_json() {
            output::json("calypte.delta-apply/1", &rebuilt)?;
        } else {
            output::print(&applied(&rebuilt))?;
        }
        return Ok(Verdict::Yes);
    }
    let (Some(old), Some(new), Some(to)) = (&arguments.old, &arguments.new, &arguments.output) else {
        anyhow::bail!("name two images and an output");
    };
    let threads = memory::at_once(session.global.jobs, MEMORY_OF_A_BUNDLE);
    let made = delta::make(old, new, to, threads, &session.interrupted, &session.terminal)?;
    if session.is_json() {
        output::json("calypte.delta/1", &made)?;
    } else {
        output::print(&text(&made))?;
    }
    Ok(Verdict::Yes)
}

fn text(made: &Made) -> String {
    let mut text = String::new();
    for delta in &made.deltas {
        let mut table = Table::new(&["PLATFORM", "WHAT", "COUNT", "BYTES", "IN DELTA"], &[2, 3, 4]);
        let mut row = |what: &str, count: usize, bytes: Option<u64>, packed: Option<u64>| {
            let size = |size: Option<u64>| size.map_or_else(String::new, output::bytes);
            table.row(vec![
                delta.platform.clone(),
                what.to_owned(),
                count.to_string(),
                size(bytes),
                size(packed),
            ]);
        };
        row("layers unchanged", delta.layers_unchanged, None, None);
        row("layers rebuilt", delta.layers_rebuilt, Some(delta.layers), None);
        row("contents unchanged", delta.contents_unchanged, Some(delta.bytes_unchanged), None);
        for class in &delta.classes {
            let what = format!("{}, {} patched", class.class.name(), class.patched);
            row(&what, class.patched + class.new, Some(class.bytes), Some(class.packed));
        }
        row("headers", delta.layers_rebuilt, None, Some(delta.headers));
        row("plan", 1, None, Some(delta.plan));
        row("delta", 1, None, Some(delta.delta));
        text.push_str(&table.render());
    }
    text + &format!("{}\n", made.digest)
}

fn applied(rebuilt: &Rebuilt) -> String {
    let titles = ["PLATFORM", "FROM BASE", "COMPRESSED", "FROM FALLBACK"];
    let mut table = Table::new(&titles, &[1, 2, 3]);
    for image in &rebuilt.images {
        let counts = [image.from_base, image.compressed, image.from_fallback];
        let cells = std::iter::once(image.platform.clone()).chain(counts.map(|count| count.to_string()));
        table.row(cells.collect());
    }
    table.render() + &format!("{}\n", rebuilt.digest)
}
