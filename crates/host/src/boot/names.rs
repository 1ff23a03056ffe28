//! The name of a deployment's boot entry.

use calypte_composefs::VerityDigest;

/// Which system, which version, and of which tree: unique for each deployment, and sorted by version where nothing else
/// decides. A `+` would begin a boot counter.
pub(crate) fn entry_name(id: &str, version: &str, digest: &VerityDigest) -> String {
    let clean = |text: &str| -> String {
        let kept = |letter: char| letter.is_ascii_alphanumeric() || "._~^-".contains(letter);
        text.chars().take(80).map(|letter| if kept(letter) { letter } else { '_' }).collect()
    };
    let hex = digest.to_string();
    format!("{}-{}-{}", clean(id), clean(version), hex.get(..12).unwrap_or(&hex))
}

#[cfg(test)]
mod tests {
    use calypte_disk::bls::EntryName;

    use super::*;

    #[test]
    fn a_name_is_never_taken_for_a_counter() {
        let name = entry_name("o s/", "1+2", &VerityDigest::of(b""));
        assert!(name.starts_with("o_s_-1_2-"), "{name}");
        let parsed = EntryName::parse(&format!("{name}+3.efi")).unwrap();
        assert_eq!((parsed.name, parsed.counter.map(|counter| counter.left)), (name, Some(3)));
    }
}
