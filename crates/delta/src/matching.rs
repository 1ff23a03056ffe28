//! For each new content the old file that it most likely was made from: the one at the same path, else at the same
//! path but for numbers (versions, sonames), else with the same name, else the one that looks most alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use crate::error::DeltaError;
use crate::interrupt;
use crate::sketch::{Sketch, Sketcher};
use crate::spool::{Member, Taken};

/// Contents below this size are not looked at for likeness: to carry them costs little.
const SMALLEST_SKETCHED: u64 = 2048;

/// Pieces that two contents must share to be called alike.
const FEWEST_SHARED: usize = 2;

/// Bytes read at once.
const PART: u64 = 256 * 1024;

/// Old files by the ways in which a new one may find its own.
pub(crate) struct Matcher<'a> {
    old: &'a Taken,
    by_path: BTreeMap<&'a [u8], usize>,
    by_shape: BTreeMap<Vec<u8>, Vec<usize>>,
    by_name: BTreeMap<Vec<u8>, Vec<usize>>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(old: &'a Taken) -> Self {
        let mut matcher =
            Self { old, by_path: BTreeMap::new(), by_shape: BTreeMap::new(), by_name: BTreeMap::new() };
        for (number, member) in old.members.iter().enumerate() {
            // The file of the highest layer is the one that is seen.
            matcher.by_path.insert(&member.path, number);
            matcher.by_shape.entry(shape(&member.path)).or_default().push(number);
            matcher.by_name.entry(shape(name(&member.path))).or_default().push(number);
        }
        matcher
    }

    /// For each of these members of `new` the number of an old file, if there is a fitting one.
    pub(crate) fn choose(
        &self,
        new: &Taken,
        wanted: &[&Member],
        interrupted: &AtomicBool,
    ) -> Result<Vec<Option<usize>>, DeltaError> {
        let mut chosen: Vec<Option<usize>> = wanted.iter().map(|member| self.by_names(member)).collect();
        let without = wanted.iter().zip(&chosen).filter(|(_, old)| old.is_none());
        if without.clone().all(|(member, _)| member.size < SMALLEST_SKETCHED) {
            return Ok(chosen);
        }
        let taken: BTreeSet<usize> = chosen.iter().flatten().copied().collect();
        let likeness = Likeness::new(self.old, new, &taken, interrupted)?;
        for (member, old) in wanted.iter().zip(&mut chosen) {
            if old.is_none() && member.size >= SMALLEST_SKETCHED {
                *old = likeness.nearest(&sketch(new, member, interrupted)?);
            }
        }
        Ok(chosen)
    }

    fn by_names(&self, member: &Member) -> Option<usize> {
        let path = self.by_path.get(member.path.as_slice()).copied();
        path.or_else(|| self.nearest(self.by_shape.get(&shape(&member.path))?, member))
            .or_else(|| self.nearest(self.by_name.get(&shape(name(&member.path)))?, member))
    }

    /// Numbers are not always versions: of `m1.ko` to `m9.ko` each was made from the one with its own number. So the
    /// same name goes before all, then the path that differs least, then the size.
    fn nearest(&self, numbers: &[usize], member: &Member) -> Option<usize> {
        let distance = |number: usize| {
            let old = self.old.members.get(number)?;
            let other_name = name(&old.path) != name(&member.path);
            Some((other_name, unlike(&old.path, &member.path), old.size.abs_diff(member.size), number))
        };
        numbers.iter().filter_map(|number| distance(*number)).min().map(|(.., number)| number)
    }
}

/// Old contents that are gone, by what they look like.
struct Likeness {
    by_digest: BTreeMap<u64, Vec<usize>>,
}

impl Likeness {
    /// Of the old contents that the new image does not have and that no other content is made from: what moved or was
    /// renamed is among these, and to look at all would mean to read the image once more.
    fn new(
        old: &Taken,
        new: &Taken,
        taken: &BTreeSet<usize>,
        interrupted: &AtomicBool,
    ) -> Result<Self, DeltaError> {
        let kept: BTreeSet<_> = new.members.iter().filter_map(|member| member.digest).collect();
        let mut by_digest: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (number, member) in old.members.iter().enumerate() {
            let gone = member.digest.is_some_and(|digest| !kept.contains(&digest));
            if gone && !taken.contains(&number) && member.size >= SMALLEST_SKETCHED {
                for digest in sketch(old, member, interrupted)?.digests() {
                    by_digest.entry(*digest).or_default().push(number);
                }
            }
        }
        Ok(Self { by_digest })
    }

    fn nearest(&self, sketch: &Sketch) -> Option<usize> {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for number in sketch.digests().iter().filter_map(|digest| self.by_digest.get(digest)).flatten() {
            *shared.entry(*number).or_default() += 1;
        }
        let best = shared.into_iter().max_by_key(|(number, count)| (*count, usize::MAX - number));
        best.filter(|(_, count)| *count >= FEWEST_SHARED).map(|(number, _)| number)
    }
}

fn sketch(taken: &Taken, member: &Member, interrupted: &AtomicBool) -> Result<Sketch, DeltaError> {
    let (mut sketcher, mut buffer, mut at) = (Sketcher::default(), Vec::new(), 0);
    while at < member.size {
        interrupt::check(interrupted)?;
        let part = PART.min(member.size - at);
        buffer.clear();
        taken.contents.append_to(&mut buffer, member.place + at, part)?;
        sketcher.update(&buffer);
        at += part;
    }
    Ok(sketcher.finish())
}

/// Bytes of the longer path that are in neither a common start nor a common end.
fn unlike(one: &[u8], other: &[u8]) -> usize {
    let start = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let rests = (one.get(start..).unwrap_or_default(), other.get(start..).unwrap_or_default());
    let end = rests.0.iter().rev().zip(rests.1.iter().rev()).take_while(|(one, other)| one == other).count();
    rests.0.len().max(rests.1.len()) - end
}

/// The last component of a path.
pub(crate) fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// A path with `#` in place of every version: digits, and digits joined by single `.`, `-`, `+` or `~`.
pub(crate) fn shape(path: &[u8]) -> Vec<u8> {
    let mut shape = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if !first.is_ascii_digit() {
            shape.push(*first);
            continue;
        }
        shape.push(b'#');
        loop {
            rest = match rest {
                [digit, after @ ..] if digit.is_ascii_digit() => after,
                [b'.' | b'-' | b'+' | b'~', digit, after @ ..] if digit.is_ascii_digit() => after,
                _ => break,
            };
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_tell_paths_apart() {
        for (one, other) in [
            ("usr/lib/modules/6.1.0-1-amd64/kernel/a.ko", "usr/lib/modules/6.1.0-22-amd64/kernel/a.ko"),
            ("usr/lib/libfoo.so.1.2.3", "usr/lib/libfoo.so.1.3"),
            ("usr/lib/python3.11/x.py", "usr/lib/python3.12/x.py"),
            ("boot/vmlinuz-6.1.0-1-amd64", "boot/vmlinuz-6.1.0-2-amd64"),
        ] {
            assert_eq!(shape(one.as_bytes()), shape(other.as_bytes()), "{one}");
        }
        assert_eq!(shape(b"a1.-b2-x."), b"a#.-b#-x.");
        assert_eq!(name(b"usr/bin/env"), b"env");
    }
}
