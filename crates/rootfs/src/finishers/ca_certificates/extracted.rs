//! `/etc/pki/ca-trust/extracted`: what Fedora's `update-ca-trust` writes with `trust extract`, byte for byte where a
//! form has no time in it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::certificate::{self, Certificate, EXTENDED_KEY_USAGE};
use super::der::{OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTF8_STRING, append};
use super::subject_hash;
use super::trust::{Item, OPENSSL_REJECT, SUBJECT_KEY_IDENTIFIER, TrustStore};
use crate::finishers::FinishError;
use crate::finishers::site::{Access, Site};

const TARGET: &str = "etc/pki/ca-trust/extracted";
const TLS_BUNDLE: &str = "pem/tls-ca-bundle.pem";
const HASHED: &str = "pem/directory-hash";
/// Where programs look by themselves; the package ships links there, of which not all may have come.
const CERTIFICATES: &str = "etc/pki/tls/certs";
/// Where Debian has the bundle, which many programs have built in.
const DEBIAN_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// Roots that are no longer trusted but signed what still is in use: `ca-legacy install` of Fedora.
const LEGACY: [&str; 3] = [
    "usr/share/pki/ca-trust-legacy/ca-bundle.legacy.default.crt",
    "etc/pki/ca-trust/source/ca-bundle.legacy.crt",
    "etc/pki/ca-trust/ca-legacy.conf",
];

/// `id-kp-serverAuth`, `id-kp-emailProtection`, `id-kp-codeSigning` (RFC 5280, section 4.2.1.12).
const SERVER: &[u8] = &purpose(1);
const EMAIL: &[u8] = &purpose(4);
const CODE: &[u8] = &purpose(3);
/// What p11-kit rejects a distrusted certificate for: server, client, code, e-mail, IPsec (three), time stamps.
const ALL_PURPOSES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Longest name of a file, less what may be added to make it unique (p11-kit's `make_unique_name`).
const NAME_LIMIT: usize = 255 - 16;

const fn purpose(number: u8) -> [u8; 8] {
    [0x2b, 6, 1, 5, 5, 7, 3, number]
}

/// Writes everything, if the tree has sources of trust.
pub(super) fn apply(site: &mut Site<'_>) -> Result<(), FinishError> {
    link_legacy(site)?;
    let store = TrustStore::read(site)?;
    site.make_for(site.sole_package(&store.sources));
    if store.items.is_empty() {
        return Ok(());
    }
    let server = store.anchors(SERVER);
    let files = [
        ("openssl/ca-bundle.trust.crt", openssl_bundle(&store.all())),
        (TLS_BUNDLE, bundle(&server)),
        ("pem/email-ca-bundle.pem", bundle(&store.anchors(EMAIL))),
        ("pem/objsign-ca-bundle.pem", bundle(&store.anchors(CODE))),
        ("java/cacerts", java_key_store(&server, site.time())),
        ("edk2/cacerts.bin", signature_lists(&server)),
    ];
    for (name, bytes) in files {
        site.write(&site.path(&format!("{TARGET}/{name}"))?, bytes, Access::root(0o444))?;
    }
    write_hashed(site, &server)?;
    link_bundle(site)
}

/// As `ca-legacy install`, unless the administrator's choice is to have none.
fn link_legacy(site: &mut Site<'_>) -> Result<(), FinishError> {
    let [bundle, link, choice] = LEGACY;
    let choice = site.read_text(&site.path(choice)?)?.unwrap_or_default();
    let disabled = choice.lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| key.trim() == "legacy" && value.trim() == "disable")
    });
    let link = site.path(link)?;
    if !disabled && site.leads_somewhere(&site.path(bundle)?)? && !site.exists(&link)? {
        site.make_for(site.package_of(&site.path(bundle)?));
        site.link(&link, &format!("/{bundle}"))?;
    }
    Ok(())
}

/// The bundle under the names that programs have built in.
fn link_bundle(site: &mut Site<'_>) -> Result<(), FinishError> {
    let target = format!("/{TARGET}/{TLS_BUNDLE}");
    for name in [format!("{CERTIFICATES}/ca-bundle.crt"), DEBIAN_BUNDLE.to_owned()] {
        let path = site.path(&name)?;
        if !site.exists(&path)? {
            site.link(&path, &target)?;
        }
    }
    Ok(())
}

/// One file each, and the links by subject hash that OpenSSL looks for, which also stand in the directory where it
/// looks.
fn write_hashed(site: &mut Site<'_>, items: &[&Item]) -> Result<(), FinishError> {
    let mut names = BTreeSet::new();
    for item in items {
        let Ok((certificate, _)) = Certificate::read(&item.der) else { continue };
        let label = item.label.as_deref().unwrap_or("certificate");
        let letter =
            |byte: u8| if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) { byte.into() } else { '_' };
        let canonical: String = label.bytes().map(letter).take(NAME_LIMIT - ".pem".len()).collect();
        let file = unique(&mut names, &canonical, ".pem");
        site.write(
            &site.path(&format!("{TARGET}/{HASHED}/{file}"))?,
            pem("CERTIFICATE", &item.der),
            Access::root(0o444),
        )?;
        let new = subject_hash::of_subject(certificate.subject).ok();
        for hash in new.into_iter().chain([subject_hash::old_of_subject(certificate.subject)]) {
            let link = unique(&mut names, &hash, "");
            site.link(&site.path(&format!("{TARGET}/{HASHED}/{link}"))?, &file)?;
            let place = site.path(&format!("{CERTIFICATES}/{link}"))?;
            if !site.exists(&place)? {
                site.link(&place, &format!("/{TARGET}/{HASHED}/{file}"))?;
            }
        }
    }
    site.directory(&site.path(&format!("{TARGET}/{HASHED}"))?, Access::root(0o555))
}

/// `Root.pem`, `Root.1.pem`; without an ending `0b9bc432.0`, `0b9bc432.1`.
fn unique(names: &mut BTreeSet<String>, bare: &str, ending: &str) -> String {
    let mut name = if ending.is_empty() { format!("{bare}.0") } else { format!("{bare}{ending}") };
    let mut number = 0_u32;
    while !names.insert(name.clone()) {
        number += 1;
        name = format!("{bare}.{number}{ending}");
    }
    name
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {label}-----\n");
    let body = STANDARD.encode(der);
    for (number, letter) in body.chars().enumerate() {
        if number > 0 && number % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text.into_bytes()
}

/// PEM blocks, each after its label as a comment.
fn bundle(items: &[&Item]) -> Vec<u8> {
    commented(items, |item| pem("CERTIFICATE", &item.der))
}

fn openssl_bundle(items: &[&Item]) -> Vec<u8> {
    commented(items, |item| pem("TRUSTED CERTIFICATE", &[item.der.clone(), openssl_trust(item)].concat()))
}

fn commented(items: &[&Item], block: fn(&Item) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        let separator = if bytes.is_empty() { "" } else { "\n" };
        let label = item.label.as_deref().unwrap_or("certificate");
        bytes.extend_from_slice(format!("{separator}# {label}\n").as_bytes());
        bytes.extend(block(item));
    }
    bytes
}

/// OpenSSL's `CertAux`: what it is trusted and rejected for, its label, its key's identifier.
fn openssl_trust(item: &Item) -> Vec<u8> {
    let listed = |identifier: &[u8]| {
        let value = item.attached.get(identifier)?;
        certificate::purposes(value).ok()
    };
    let rejected: Vec<[u8; 8]> = ALL_PURPOSES.into_iter().map(purpose).collect();
    let known = rejected.iter().map(|purpose| &purpose[..]);
    let (trust, reject) = match (item.distrusted, item.trusted) {
        (true, _) => {
            (None, Some(listed(OPENSSL_REJECT).into_iter().flatten().chain(known).collect::<Vec<_>>()))
        }
        (false, true) => (listed(EXTENDED_KEY_USAGE), listed(OPENSSL_REJECT)),
        (false, false) => (Some(Vec::new()), listed(OPENSSL_REJECT)),
    };
    let mut content = Vec::new();
    for (tag, purposes) in [(SEQUENCE, trust), (0xa0, reject)] {
        let Some(purposes) = purposes else { continue };
        let mut list = Vec::new();
        purposes.into_iter().for_each(|purpose| append(&mut list, OBJECT_IDENTIFIER, purpose));
        append(&mut content, tag, &list);
    }
    if let Some(label) = &item.label {
        append(&mut content, UTF8_STRING, label.as_bytes());
    }
    if let Some(identifier) = item.attached.get(SUBJECT_KEY_IDENTIFIER) {
        append(&mut content, OCTET_STRING, identifier);
    }
    let mut aux = Vec::new();
    append(&mut aux, SEQUENCE, &content);
    aux
}

/// Java's key store (JKS, version 2) with the password that everybody knows.
fn java_key_store(items: &[&Item], time: i64) -> Vec<u8> {
    const TRUSTED_CERTIFICATE: u32 = 2;
    let milliseconds = time.max(0).saturating_mul(1000);
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
    bytes.extend(length(items.len()));
    let mut aliases = BTreeSet::new();
    for item in items {
        bytes.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        short_text(&mut bytes, &alias(&mut aliases, item.label.as_deref().unwrap_or("unlabeled")));
        bytes.extend(milliseconds.to_be_bytes());
        short_text(&mut bytes, "X.509");
        bytes.extend(length(item.der.len()));
        bytes.extend(&item.der);
    }
    let mut digest = Sha1::new();
    digest.update(b"\0c\0h\0a\0n\0g\0e\0i\0tMighty Aphrodite");
    digest.update(&bytes);
    bytes.extend(digest.finalize());
    bytes
}

/// A label as Java writes aliases: without blanks, in lower case; told apart by a number.
fn alias(aliases: &mut BTreeSet<String>, label: &str) -> String {
    let space = |letter: &char| matches!(letter, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let letters = label.chars().filter(|letter| letter.is_ascii() && !space(letter));
    let bare: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let mut name = bare.clone();
    let mut number = 0_u32;
    while !aliases.insert(name.clone()) {
        number += 1;
        name = format!("{bare}-{number}");
    }
    name
}

fn short_text(bytes: &mut Vec<u8>, text: &str) {
    // Longer ones are cut, as p11-kit does.
    let text = text.as_bytes().get(..usize::from(i16::MAX.unsigned_abs())).unwrap_or(text.as_bytes());
    bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(text);
}

/// `EFI_SIGNATURE_LIST`s (UEFI 2.7, section 31.4.1), one for each certificate, for EDK2's HTTPS.
fn signature_lists(items: &[&Item]) -> Vec<u8> {
    /// `EFI_CERT_X509_GUID`, as it lies in memory.
    const X509: [u8; 16] =
        [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
    /// By which p11-kit signs as the one who made the entry.
    const AGENT: [u8; 16] =
        [0x50, 0x3b, 0xdd, 0xdc, 0x05, 0xf4, 0xfd, 0x43, 0x96, 0xbe, 0xbd, 0x33, 0xb1, 0x73, 0x47, 0x76];
    const LIST_HEADER: usize = 28;
    let mut bytes = Vec::new();
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    for item in items {
        let signature = AGENT.len() + item.der.len();
        bytes.extend(X509);
        bytes.extend(number(LIST_HEADER + signature));
        bytes.extend(number(0));
        bytes.extend(number(signature));
        bytes.extend(AGENT);
        bytes.extend(&item.der);
    }
    bytes
}
