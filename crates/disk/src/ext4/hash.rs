//! The hash by which ext4 orders the names of a directory: MD4 cut down to three short rounds.

/// The hash of a name, its lowest bit cleared. Bytes count as signed, as the superblock says (`signed_directory_hash`).
pub(super) fn half_md4(name: &[u8], seed: &[u8; 16]) -> u32 {
    const CHUNK: usize = 32;
    /// Marks the end of a directory to readers.
    const END: u32 = 0x7fff_ffff << 1;
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    if seed.iter().any(|byte| *byte != 0) {
        for (word, bytes) in state.iter_mut().zip(seed.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
    }
    let mut rest = name;
    loop {
        transform(&mut state, &words(rest));
        if rest.len() <= CHUNK {
            break;
        }
        rest = &rest[CHUNK..];
    }
    let hash = state[1] & !1;
    if hash == END { END - 2 } else { hash }
}

/// Up to 32 bytes of a name as eight words, filled up with the length of what is left of the name.
fn words(rest: &[u8]) -> [u32; 8] {
    let length = u32::try_from(rest.len()).unwrap_or_default();
    let filler = (length | (length << 8)) | ((length | (length << 8)) << 16);
    let mut words = [filler; 8];
    for (word, bytes) in words.iter_mut().zip(rest.chunks(4)) {
        let value =
            |start: u32, byte: &u8| (i32::from(byte.cast_signed())).cast_unsigned().wrapping_add(start << 8);
        *word = bytes.iter().fold(filler, value);
    }
    words
}

fn transform(state: &mut [u32; 4], input: &[u32; 8]) {
    const ROUNDS: [(u32, [usize; 8], [u32; 4]); 3] = [
        (0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (0x5a82_7999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]),
        (0x6ed9_eba1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (round, (constant, order, shifts)) in ROUNDS.iter().enumerate() {
        for (step, place) in order.iter().enumerate() {
            let mixed = match round {
                0 => d ^ (b & (c ^ d)),
                1 => (b & c).wrapping_add((b ^ c) & d),
                _ => b ^ c ^ d,
            };
            let sum = a.wrapping_add(mixed).wrapping_add(input[*place]).wrapping_add(*constant);
            (a, b, c, d) = (d, sum.rotate_left(shifts[step % 4]), b, c);
        }
    }
    for (word, value) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(value);
    }
}
