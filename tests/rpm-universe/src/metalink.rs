//! A metalink file as Fedora's MirrorManager writes it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

/// What a metalink says of one `repomd.xml`.
pub struct Named<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
}

/// The metalink that names this `repomd.xml`, also accepts these, and sends to these addresses of it.
pub fn write(current: &Named<'_>, alternates: &[Named<'_>], addresses: &[String]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" \
         type=\"dynamic\" pubdate=\"Sun, 15 Jun 2025 15:06:40 GMT\" generator=\"mirrormanager\" \
         xmlns:mm0=\"http://fedorahosted.org/mirrormanager\">\n  <files>\n    <file name=\"repomd.xml\">\n",
    );
    describe(current, &mut text);
    if !alternates.is_empty() {
        text.push_str("<mm0:alternates>\n");
        for alternate in alternates {
            text.push_str("<mm0:alternate>\n");
            describe(alternate, &mut text);
            text.push_str("</mm0:alternate>\n");
        }
        text.push_str("</mm0:alternates>\n");
    }
    text.push_str("<resources maxconnections=\"1\">\n");
    for (number, address) in addresses.iter().enumerate() {
        writeln!(
            text,
            "<url protocol=\"http\" type=\"http\" location=\"DE\" preference=\"{}\">{address}</url>",
            100usize.saturating_sub(number)
        )
        .unwrap_or_default();
    }
    text.push_str("</resources>\n    </file>\n  </files>\n</metalink>\n");
    text
}

fn describe(named: &Named<'_>, text: &mut String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    write!(
        text,
        "<mm0:timestamp>{}</mm0:timestamp>\n<size>{}</size>\n<verification>\n<hash type=\"sha256\">{}</hash>\n\
         <hash type=\"sha512\">{}</hash>\n</verification>\n",
        named.timestamp,
        named.bytes.len(),
        hex(&Sha256::digest(named.bytes)),
        hex(&Sha512::digest(named.bytes)),
    )
    .unwrap_or_default();
}
