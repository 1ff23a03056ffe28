//! `/etc/dpkg/dpkg.cfg.d/calypte`: what the image leaves out, dpkg is to leave out too when it installs more.

use std::collections::BTreeSet;

use calypte_universe::rules::Slices;

use super::{RecordError, Recorder, shared};
use crate::slices::ALWAYS_KEPT;

const PATH: &str = "etc/dpkg/dpkg.cfg.d/calypte";

pub(super) fn write(
    recorder: &mut Recorder<'_>,
    slices: &Slices,
    chosen: &BTreeSet<String>,
) -> Result<(), RecordError> {
    let chosen: Vec<_> = chosen.iter().filter_map(|name| slices.0.get(name)).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let mut text =
        String::from("# The files that this image was made without (its definition's `slices:`).\n");
    let excluded = chosen.iter().flat_map(|slice| &slice.drop).map(|glob| ("exclude", glob.as_str()));
    let kept = chosen.iter().flat_map(|slice| &slice.keep).map(String::as_str).chain([ALWAYS_KEPT]);
    // The last line that matches counts, so what is kept comes last.
    for (verb, glob) in excluded.chain(kept.map(|glob| ("include", glob))) {
        for pattern in patterns(glob) {
            text.push_str(&format!("path-{verb}={pattern}\n"));
        }
    }
    recorder.file(PATH, text.as_bytes(), 0o644, &shared())
}

/// The patterns of dpkg that match what a glob of ours does. Its `*` matches slashes as well, and it knows no braces.
fn patterns(glob: &str) -> BTreeSet<String> {
    let mut done = BTreeSet::new();
    let mut open = vec![format!("/{}", glob.trim_start_matches('/')).replace("**", "*")];
    while let Some(text) = open.pop() {
        // The innermost braces first: those whose end is the first.
        let Some(end) = text.find('}') else {
            done.insert(text);
            continue;
        };
        let Some(start) = text[..end].rfind('{') else {
            done.insert(text);
            continue;
        };
        let (before, after) = (&text[..start], &text[end + 1..]);
        open.extend(text[start + 1..end].split(',').map(|part| format!("{before}{part}{after}")));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::patterns;

    #[test]
    fn globs_become_what_dpkg_understands() {
        let patterns = |glob| patterns(glob).into_iter().collect::<Vec<_>>();
        assert_eq!(patterns("usr/share/man/**"), ["/usr/share/man/*"]);
        assert_eq!(patterns("/usr/lib/**/*.a"), ["/usr/lib/*/*.a"]);
        assert_eq!(patterns("a/{b,{c,d}e}/f"), ["/a/b/f", "/a/ce/f", "/a/de/f"]);
        assert_eq!(patterns("a}b{c"), ["/a}b{c"]);
    }
}
