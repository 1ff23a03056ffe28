//! One content as the difference to an old one like it, byte by byte: where programs are built anew, most of what
//! changes are addresses, each a little further on than before. Subtracted from the old bytes at the same place that
//! is zeros with a few small numbers, which compress far better than the new bytes with copies between them.
//!
//! The content is covered by pairs: *take so many bytes of the old one, each with a byte added to it; then so many that
//! are fresh; then move in the old one*. That is the scheme of Percival's bsdiff. Candidates are found by a table of
//! eight-byte words rather than by a sorted list of all suffixes: less memory, and time that grows with the size.
//!
//! Of what is added, zeros are counted and the rest is written: a twentieth of the bytes is left to be compressed.

use crate::error::DeltaError;
use crate::number::{Numbers, fold, put, unfold};

/// Bytes of a word that is looked up.
const WORD: usize = 8;

/// Base-two logarithm of the most entries of the table of words.
const TABLE_LOG: u32 = 20;

/// Most places that are tried for one word: files with the same word everywhere are full of zeros.
const MOST_CANDIDATES: usize = 24;

/// Bytes over which one match is followed. A longer one is found again where this ends.
const LONGEST_MATCH: usize = 4096;

/// A match of the present alignment of so many bytes is taken without looking for a longer one.
const ENOUGH: usize = 32;

/// Equal bytes up to this number between others are written as zeros.
const SHORT_RUN: usize = 3;

/// How many bytes more than the present alignment gives a match must give to be worth a change.
const GAIN: usize = 8;

/// Old contents above this size are looked up at every fourth place only, which bounds the memory.
const DENSE: usize = 16 * 1024 * 1024;

const NONE: u32 = u32::MAX;

/// The streams that differences are written to, one after the other.
#[derive(Debug, Default, Clone)]
pub(crate) struct Streams {
    pub controls: Vec<u8>,
    pub runs: Vec<u8>,
    pub added: Vec<u8>,
    pub fresh: Vec<u8>,
}

impl Streams {
    /// Writes a content that is like nothing.
    pub(crate) fn write_fresh(&mut self, new: &[u8]) {
        self.fresh.extend_from_slice(new);
    }

    /// Writes a content as its difference to an old one.
    pub(crate) fn write(&mut self, old: &[u8], new: &[u8]) {
        let words = Words::new(old);
        let mut at = 0_i64;
        for pair in pairs(&words, old, new) {
            put(&mut self.controls, fold(pair.old as i64 - at));
            put(&mut self.controls, pair.taken as u64);
            put(&mut self.controls, pair.fresh as u64);
            let source = old.get(pair.old..pair.old + pair.taken).unwrap_or_default();
            let target = new.get(pair.new..pair.new + pair.taken).unwrap_or_default();
            self.write_added(source, target);
            let end = pair.new + pair.taken;
            self.fresh.extend_from_slice(new.get(end..end + pair.fresh).unwrap_or_default());
            at = (pair.old + pair.taken) as i64;
        }
    }
}

impl Streams {
    /// Writes what makes `new` of `old`, which are equally long: how many bytes are the same, how many of those after
    /// them are not, and so on to the end.
    fn write_added(&mut self, old: &[u8], new: &[u8]) {
        let mut at = 0;
        while at < new.len() {
            let (old, new) = (old.get(at..).unwrap_or_default(), new.get(at..).unwrap_or_default());
            let same = common_run(old, new);
            put(&mut self.runs, same as u64);
            at += same;
            if same == new.len() {
                return;
            }
            // A few equal bytes between others cost less as zeros than as a run of their own.
            let (mut count, mut equal) = (0, 0);
            for (place, (old, new)) in old.iter().zip(new).skip(same).enumerate() {
                equal = if old == new { equal + 1 } else { 0 };
                if equal == 0 {
                    count = place + 1;
                } else if equal > SHORT_RUN {
                    break;
                }
            }
            put(&mut self.runs, count as u64);
            let changed = old.iter().zip(new).skip(same).take(count);
            self.added.extend(changed.map(|(old, new)| new.wrapping_sub(*old)));
            at += count;
        }
    }
}

/// Streams that are read.
#[derive(Debug)]
pub(crate) struct StreamReader<'a> {
    pub controls: Numbers<'a>,
    pub runs: Numbers<'a>,
    pub added: Numbers<'a>,
    pub fresh: Numbers<'a>,
}

impl<'a> StreamReader<'a> {
    pub(crate) const fn new(controls: &'a [u8], runs: &'a [u8], added: &'a [u8], fresh: &'a [u8]) -> Self {
        Self {
            controls: Numbers::new(controls, "controls of a bundle"),
            runs: Numbers::new(runs, "runs of a bundle"),
            added: Numbers::new(added, "added bytes of a bundle"),
            fresh: Numbers::new(fresh, "fresh bytes of a bundle"),
        }
    }

    /// Appends a content of `size` bytes to `target`.
    pub(crate) fn read(
        &mut self,
        old: Option<&[u8]>,
        size: u64,
        target: &mut Vec<u8>,
    ) -> Result<(), DeltaError> {
        let Some(old) = old else {
            target.extend_from_slice(self.fresh.bytes(size as usize)?);
            return Ok(());
        };
        let (mut left, mut at) = (size, 0_i64);
        while left > 0 {
            at = at.wrapping_add(unfold(self.controls.next()?));
            let taken = self.controls.at_most(left, "bytes taken")?;
            left -= taken;
            let fresh = self.controls.at_most(left, "fresh bytes")?;
            left -= fresh;
            let end = at.checked_add(taken as i64);
            let range = usize::try_from(at).ok().zip(end.and_then(|end| usize::try_from(end).ok()));
            let source = range.and_then(|(start, end)| old.get(start..end)).ok_or_else(|| {
                let expected = format!("bytes inside of {}", old.len());
                DeltaError::damaged("controls of a bundle", expected, format!("{taken} at {at}"))
            })?;
            // A pair that gives nothing could be repeated without end.
            if taken == 0 && fresh == 0 {
                return Err(DeltaError::damaged("controls of a bundle", "some bytes", "none"));
            }
            self.read_added(source, target)?;
            target.extend_from_slice(self.fresh.bytes(fresh as usize)?);
            at += taken as i64;
        }
        Ok(())
    }

    fn read_added(&mut self, old: &[u8], target: &mut Vec<u8>) -> Result<(), DeltaError> {
        let mut rest = old;
        while !rest.is_empty() {
            let same = self.runs.at_most(rest.len() as u64, "equal bytes")?;
            let (equal, others) = rest.split_at_checked(same as usize).unwrap_or_default();
            target.extend_from_slice(equal);
            rest = others;
            if rest.is_empty() {
                break;
            }
            let count = self.runs.at_most(rest.len() as u64, "other bytes")?;
            if same == 0 && count == 0 {
                return Err(DeltaError::damaged("runs of a bundle", "some bytes", "none"));
            }
            let (changed, others) = rest.split_at_checked(count as usize).unwrap_or_default();
            let added = self.added.bytes(changed.len())?;
            target.extend(changed.iter().zip(added).map(|(old, added)| old.wrapping_add(*added)));
            rest = others;
        }
        Ok(())
    }

    /// Whether all was used up.
    pub(crate) fn check_end(&self) -> Result<(), DeltaError> {
        let left = self.controls.left() + self.runs.left() + self.added.left() + self.fresh.left();
        if left > 0 {
            return Err(DeltaError::damaged(
                "bundle",
                "the end of its streams",
                format!("{left} more bytes"),
            ));
        }
        Ok(())
    }
}

/// Where the words of an old content are: lists by hash, the latest place first.
struct Words {
    heads: Vec<u32>,
    /// For each indexed place the one before it with the same hash.
    previous: Vec<u32>,
    step: usize,
    shift: u32,
}

impl Words {
    fn new(old: &[u8]) -> Self {
        let step = if old.len() > DENSE { 4 } else { 1 };
        let log = (usize::BITS - old.len().leading_zeros()).clamp(8, TABLE_LOG);
        let mut words = Self {
            heads: vec![NONE; 1 << log],
            previous: Vec::with_capacity(old.len() / step + 1),
            step,
            shift: u64::BITS - log,
        };
        // From the end, so that the lists begin with the first place.
        let count = (old.len() + 1).saturating_sub(WORD).div_ceil(step);
        words.previous.resize(count, NONE);
        for index in (0..count).rev() {
            let Some(hash) = words.hash(old, index * step) else { continue };
            if let (Some(head), Some(previous)) = (words.heads.get_mut(hash), words.previous.get_mut(index)) {
                *previous = std::mem::replace(head, index as u32);
            }
        }
        words
    }

    fn hash(&self, bytes: &[u8], place: usize) -> Option<usize> {
        let word = bytes.get(place..)?.first_chunk::<WORD>()?;
        Some((u64::from_le_bytes(*word).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize)
    }

    /// The old place from which most bytes are as at `place` of the new content, and their number. Of equally long
    /// ones the place that goes on with the present alignment wins.
    fn longest(&self, old: &[u8], new: &[u8], place: usize, aligned: i64) -> (usize, usize) {
        let mut best = (0, 0);
        let try_at = |best: &mut (usize, usize), from: usize| {
            let length = common(old.get(from..).unwrap_or_default(), new.get(place..).unwrap_or_default());
            if length > best.1 {
                *best = (from, length);
            }
        };
        if let Ok(from) = usize::try_from(place as i64 + aligned) {
            try_at(&mut best, from);
        }
        if best.1 >= ENOUGH {
            return best;
        }
        let mut next = self.hash(new, place).and_then(|hash| self.heads.get(hash)).copied().unwrap_or(NONE);
        for _ in 0..MOST_CANDIDATES {
            if next == NONE {
                break;
            }
            try_at(&mut best, next as usize * self.step);
            next = self.previous.get(next as usize).copied().unwrap_or(NONE);
        }
        best
    }
}

/// How many bytes both begin with, as far as a match is followed.
fn common(one: &[u8], other: &[u8]) -> usize {
    let limit = one.len().min(other.len()).min(LONGEST_MATCH);
    common_run(one.get(..limit).unwrap_or_default(), other.get(..limit).unwrap_or_default())
}

/// How many bytes both begin with.
fn common_run(one: &[u8], other: &[u8]) -> usize {
    let words =
        one.chunks_exact(8).zip(other.chunks_exact(8)).take_while(|(one, other)| one == other).count();
    let start = words * 8;
    let rest = one.iter().zip(other).skip(start).take_while(|(one, other)| one == other).count();
    start + rest
}

/// `taken` bytes of the new content from `new` on are those of the old one from `old` on, with something added;
/// `fresh` follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    old: usize,
    new: usize,
    taken: usize,
    fresh: usize,
}

fn same(old: &[u8], new: &[u8], place: usize, aligned: i64) -> bool {
    let from = usize::try_from(place as i64 + aligned).ok();
    from.and_then(|from| old.get(from)).is_some_and(|byte| new.get(place) == Some(byte))
}

/// Covers the new content.
fn pairs(words: &Words, old: &[u8], new: &[u8]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    // Up to where the new content is covered, and the old place that stands there.
    let (mut done, mut from) = (0, 0);
    let (mut scan, mut length, mut aligned) = (0, 0, 0_i64);
    while scan < new.len() {
        scan += length;
        let (found, score, next) = next_match(words, old, new, scan, aligned);
        (scan, length) = (next, found.1);
        if length == score && scan < new.len() {
            continue;
        }
        let forward = extend_forward(old, new, (from, done), scan);
        let mut backward =
            if scan < new.len() { extend_backward(old, new, (found.0, scan), done) } else { 0 };
        let mut taken = forward;
        if done + forward > scan - backward {
            let overlap = done + forward - (scan - backward);
            let first = from + forward - overlap;
            let cut = best_cut(old, new, scan - backward, (first, found.0 - backward), overlap);
            taken = forward + cut - overlap;
            backward -= cut;
        }
        let end = scan - backward;
        pairs.push(Pair { old: from, new: done, taken, fresh: end - done - taken });
        done = end;
        from = found.0 - backward;
        aligned = found.0 as i64 - scan as i64;
    }
    pairs.retain(|pair| pair.taken + pair.fresh > 0);
    pairs
}

/// The next place from `scan` on where leaving the present alignment pays: the match there, how many of its bytes
/// the alignment gives too, and the place.
fn next_match(
    words: &Words,
    old: &[u8],
    new: &[u8],
    scan: usize,
    aligned: i64,
) -> ((usize, usize), usize, usize) {
    let (mut score, mut scored) = (0_usize, scan);
    let mut place = scan;
    let mut found = (0, 0);
    while place < new.len() {
        found = words.longest(old, new, place, aligned);
        while scored < place + found.1 {
            score += usize::from(same(old, new, scored, aligned));
            scored += 1;
        }
        if (found.1 == score && found.1 != 0) || found.1 > score + GAIN {
            return (found, score, place);
        }
        score -= usize::from(place < scored && same(old, new, place, aligned));
        place += 1;
        scored = scored.max(place);
    }
    (found, score, place)
}

/// How far the alignment at (`old`, `new`) reaches before `limit`: to where as many bytes as possible agree more
/// than not.
fn extend_forward(old: &[u8], new: &[u8], start: (usize, usize), limit: usize) -> usize {
    let old = old.get(start.0..).unwrap_or_default();
    let new = new.get(start.1..limit).unwrap_or_default();
    best_reach(old.iter().zip(new))
}

fn extend_backward(old: &[u8], new: &[u8], end: (usize, usize), done: usize) -> usize {
    let old = old.get(..end.0).unwrap_or_default();
    let new = new.get(done..end.1).unwrap_or_default();
    best_reach(old.iter().rev().zip(new.iter().rev()))
}

fn best_reach<'a>(bytes: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut reach) = (0_i64, 0_i64, 0);
    for (count, (old, new)) in bytes.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, reach) = (score, count + 1);
        }
    }
    reach
}

/// Where two overlapping alignments meet best: how many bytes of the overlap, which begins at `start`, stay with the
/// first. Both are given by the old place that they have there.
fn best_cut(old: &[u8], new: &[u8], start: usize, (first, second): (usize, usize), overlap: usize) -> usize {
    let (mut score, mut best, mut cut) = (0_i64, 0_i64, 0);
    for index in 0..overlap {
        let wanted = new.get(start + index);
        score += i64::from(old.get(first + index) == wanted);
        score -= i64::from(old.get(second + index) == wanted);
        if score > best {
            (best, cut) = (score, index + 1);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(old: &[u8], new: &[u8]) -> Streams {
        let mut streams = Streams::default();
        streams.write(old, new);
        let mut reader = StreamReader::new(&streams.controls, &streams.runs, &streams.added, &streams.fresh);
        let mut back = Vec::new();
        reader.read(Some(old), new.len() as u64, &mut back).unwrap();
        assert!(back == new, "{} bytes became {}", new.len(), back.len());
        reader.check_end().unwrap();
        streams
    }

    fn noise(seed: u64, count: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn moved_and_changed_bytes_are_found() {
        let old = noise(1, 50_000);
        let mut new = [&old[20_000..], &noise(2, 500), &old[..20_000]].concat();
        for place in (0..new.len()).step_by(100) {
            new[place] = new[place].wrapping_add(1);
        }
        let streams = round_trip(&old, &new);
        assert!(streams.fresh.len() < 700, "{} fresh", streams.fresh.len());
        assert!(streams.controls.len() < 60, "{} bytes of controls", streams.controls.len());
    }

    #[test]
    fn odd_pairs() {
        let zeros = vec![0; 30_000];
        let text = noise(3, 4_000);
        for (old, new) in [
            (&b""[..], &b""[..]),
            (b"", b"abc"),
            (b"abc", b""),
            (b"abcdefgh", b"abcdefgh"),
            (b"abcdefgh", b"xabcdefghabcdefg"),
            (&zeros, &zeros[..10_000]),
            (&zeros, &text),
            (&text, &zeros),
            (&text[..7], &text),
        ] {
            round_trip(old, new);
        }
        let mixed = [&zeros[..5_000], &text, &zeros[..9_000], &text[1_000..2_000]].concat();
        round_trip(&mixed, &[&mixed[7_000..], &text, &mixed[..8_000]].concat());
    }

    #[test]
    fn lies_are_refused() {
        let old = noise(4, 1_000);
        let mut new = [&old[500..], &old[..400]].concat();
        new[100] ^= 1;
        let mut streams = Streams::default();
        streams.write(&old, &new);
        let Streams { controls, runs, added, fresh } = &streams;
        let read = |controls: &[u8], runs: &[u8], added: &[u8], size| {
            let mut reader = StreamReader::new(controls, runs, added, fresh);
            reader.read(Some(&old), size, &mut Vec::new()).and_then(|()| reader.check_end())
        };
        assert!(read(controls, runs, added, 900).is_ok());
        assert!(read(controls, runs, added, 901).is_err());
        assert!(read(controls, runs, added, 899).is_err());
        assert!(read(controls, runs, &[], 900).is_err());
        assert!(read(controls, runs, &[1, 2], 900).is_err());
        for runs in [&[0, 0][..], &[0xff, 0xff, 3], &[0, 0xff, 0xff, 3], &[]] {
            assert!(read(controls, runs, added, 900).is_err(), "{runs:?}");
        }
        for controls in [&[0, 0, 0][..], &[1, 1, 0], &[0xd0, 0x0f, 1, 0], &[0, 0xff, 0xff, 0x7f, 0], &[]] {
            assert!(read(controls, runs, added, 10).is_err(), "{controls:?}");
        }
    }
}
