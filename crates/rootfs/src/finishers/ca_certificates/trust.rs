//! What a machine trusts, as p11-kit's trust module reads it: files below `ca-trust-source` in, certificates with their
//! trust out.
//!
//! Each of the two directories has the same form: files in it say themselves what their certificates are trusted for,
//! those in its `anchors` are trusted, those in its `blocklist` are not. A file is one of p11-kit's, or has PEM blocks,
//! or is one certificate in DER; anything else (a README) is passed over. Extensions that a file attaches to a public
//! key count for the certificates of the same directory; what is distrusted anywhere is trusted nowhere.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::p11_kit::{self, Object};

use super::certificate::{self, Certificate, EXTENDED_KEY_USAGE, RESERVED_PURPOSE};
use super::der::{
    NotACertificate, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, append, elements, expect, optional, whole,
};
use crate::finishers::FinishError;
use crate::finishers::site::Site;

/// In p11-kit's order: what an administrator adds comes first.
const SOURCES: [&str; 2] = ["etc/pki/ca-trust/source", "usr/share/pki/ca-trust-source"];

/// 1.3.6.1.4.1.3319.6.10.1: purposes for which OpenSSL's form of a certificate says it is not to be used.
pub(super) const OPENSSL_REJECT: &[u8] = &[0x2b, 6, 1, 4, 1, 0x99, 0x77, 6, 10, 1];
/// `id-ce-subjectKeyIdentifier`.
pub(super) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];

/// `[0]` of `CertAux`: the rejected purposes.
const REJECT: u8 = 0xa0;
const UTF8_STRING: u8 = 0x0c;

/// Values of extensions by the content of their identifier.
pub(super) type Extensions = BTreeMap<Vec<u8>, Vec<u8>>;

/// A certificate that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The certificate.
    pub der: Vec<u8>,
    /// What people call it.
    pub label: Option<String>,
    /// Whether what it signs is trusted.
    pub trusted: bool,
    /// Whether it must not be trusted, whoever says so.
    pub distrusted: bool,
    /// Whether it is an authority's.
    pub authority: bool,
    /// What files attach to its key.
    pub attached: Extensions,
}

/// All certificates in the order in which they are read, and what is distrusted.
#[derive(Debug, Default)]
pub(super) struct TrustStore {
    pub items: Vec<Item>,
    /// The files that were read.
    pub sources: Vec<TreePath>,
    blocked_keys: BTreeSet<Vec<u8>>,
    /// Whole issuer, whole serial number.
    blocked_serials: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

/// What a place says of the certificates that lie there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Anchors,
    Blocklist,
}

/// What one source holds, before extensions and certificates are brought together.
#[derive(Debug, Default)]
struct Source {
    certificates: Vec<Found>,
    attached: BTreeMap<Vec<u8>, Extensions>,
}

#[derive(Debug)]
struct Found {
    path: TreePath,
    der: Vec<u8>,
    label: Option<String>,
    trusted: bool,
    distrusted: bool,
    authority: Option<bool>,
}

impl TrustStore {
    /// Reads all that the tree has.
    pub(super) fn read(site: &Site<'_>) -> Result<Self, FinishError> {
        let mut store = Self::default();
        for directory in SOURCES {
            let mut source = Source::default();
            let places = [("", Place::Plain), ("/anchors", Place::Anchors), ("/blocklist", Place::Blocklist)];
            for (below, place) in places {
                for path in site.list(&site.path(&format!("{directory}{below}"))?, "")? {
                    let bytes = site.read(&path)?.unwrap_or_default();
                    store
                        .read_file(&mut source, &path, &bytes, place)
                        .map_err(|problem| FinishError::BadFile { path: path.clone(), problem })?;
                    store.sources.push(path);
                }
            }
            store.add(source)?;
        }
        Ok(store)
    }

    /// The certificates that are trusted for a purpose, each once.
    pub(super) fn anchors(&self, purpose: &[u8]) -> Vec<&Item> {
        let mut seen = BTreeSet::new();
        let trusted =
            self.items.iter().filter(|item| item.authority && item.trusted && !self.is_blocked(item));
        trusted.filter(|item| seen.insert(&item.der)).filter(|item| item.serves(purpose)).collect()
    }

    /// All certificates, each once.
    pub(super) fn all(&self) -> Vec<&Item> {
        let mut seen = BTreeSet::new();
        self.items.iter().filter(|item| seen.insert(&item.der)).collect()
    }

    fn is_blocked(&self, item: &Item) -> bool {
        let Ok((certificate, _)) = Certificate::read(&item.der) else { return true };
        let serial = (certificate.issuer.to_vec(), certificate.serial.to_vec());
        item.distrusted
            || self.blocked_keys.contains(certificate.public_key)
            || self.blocked_serials.contains(&serial)
    }

    fn read_file(
        &mut self,
        source: &mut Source,
        path: &TreePath,
        bytes: &[u8],
        place: Place,
    ) -> Result<(), String> {
        if p11_kit::is_p11_kit(bytes) {
            for object in p11_kit::parse(bytes).map_err(|error| error.to_string())? {
                self.read_object(source, path, &object, place).map_err(|error| error.to_string())?;
            }
            return Ok(());
        }
        let blocks = p11_kit::pem_blocks(bytes).map_err(|error| error.to_string())?;
        if blocks.is_empty() && Certificate::read(bytes).is_ok_and(|(_, rest)| rest.is_empty()) {
            source.certificates.push(found(path, bytes.to_vec(), place));
        }
        for block in blocks {
            let read = match block.label.as_str() {
                "CERTIFICATE" => {
                    source.certificates.push(found(path, block.der, place));
                    Ok(())
                }
                "TRUSTED CERTIFICATE" => source.read_openssl(path, &block.der, place),
                _ => Ok(()),
            };
            read.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// An object of p11-kit's format: a certificate, an extension, or only something to be distrusted.
    fn read_object(
        &mut self,
        source: &mut Source,
        path: &TreePath,
        object: &Object,
        place: Place,
    ) -> Result<(), NotACertificate> {
        let distrusted = object.flag("x-distrusted");
        if distrusted == Some(true) || place == Place::Blocklist {
            if let (Some(issuer), Some(serial)) = (object.bytes("issuer"), object.bytes("serial-number")) {
                self.blocked_serials.insert((issuer.to_vec(), serial.to_vec()));
            }
            if let Some(key) = object.bytes("public-key-info") {
                self.blocked_keys.insert(key.to_vec());
            }
        }
        let Some(value) = object.bytes("value") else { return Ok(()) };
        match object.word("class") {
            Some("certificate") => {
                let label = object.bytes("label").map(|label| String::from_utf8_lossy(label).into_owned());
                let category = object.word("certificate-category");
                let mut found = found(path, value.to_vec(), place);
                if place == Place::Plain || place == Place::Anchors && distrusted == Some(true) {
                    found.trusted = object.flag("trusted").unwrap_or(false);
                    found.distrusted = distrusted.unwrap_or(false);
                }
                found.label = label.filter(|label| !label.is_empty());
                found.authority = category.map(|category| category == "authority");
                source.certificates.push(found);
            }
            Some("x-certificate-extension") => {
                if let Some(key) = object.bytes("public-key-info") {
                    let (identifier, content) = certificate::extension(value)?;
                    source.attach(key, identifier, content.to_vec());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Brings the certificates of a source and the extensions for their keys together.
    fn add(&mut self, source: Source) -> Result<(), FinishError> {
        for found in source.certificates {
            let named = |error: NotACertificate| FinishError::BadFile {
                path: found.path.clone(),
                problem: error.to_string(),
            };
            let (certificate, _) = Certificate::read(&found.der).map_err(named)?;
            let attached = source.attached.get(certificate.public_key).cloned().unwrap_or_default();
            let constraints = attached.get(certificate::CONSTRAINTS).map(Vec::as_slice);
            let authority = match found.authority {
                Some(authority) => authority,
                None => certificate.is_authority(constraints).map_err(named)?,
            };
            if found.distrusted {
                self.blocked_keys.insert(certificate.public_key.to_vec());
                self.blocked_serials.insert((certificate.issuer.to_vec(), certificate.serial.to_vec()));
            }
            let label = match found.label {
                Some(label) => Some(label),
                None => certificate.label().map_err(named)?,
            };
            let Found { der, trusted, distrusted, .. } = found;
            self.items.push(Item { der, label, trusted, distrusted, authority, attached });
        }
        Ok(())
    }
}

/// A certificate, trusted as the place where it lies says.
fn found(path: &TreePath, der: Vec<u8>, place: Place) -> Found {
    let (trusted, distrusted) = (place == Place::Anchors, place == Place::Blocklist);
    Found { path: path.clone(), der, label: None, trusted, distrusted, authority: None }
}

impl Source {
    fn attach(&mut self, key: &[u8], identifier: &[u8], content: Vec<u8>) {
        self.attached.entry(key.to_vec()).or_default().insert(identifier.to_vec(), content);
    }

    /// OpenSSL's `TRUSTED CERTIFICATE`: a certificate and behind it a `CertAux` that says what it is trusted for. One
    /// that is trusted for nothing is meant to be distrusted.
    fn read_openssl(&mut self, path: &TreePath, der: &[u8], place: Place) -> Result<(), NotACertificate> {
        let (certificate, aux) = Certificate::read(der)?;
        let own = der.get(..der.len() - aux.len()).unwrap_or_default();
        let mut found = found(path, own.to_vec(), place);
        if !aux.is_empty() {
            let (trust, rest) = optional(expect(aux, SEQUENCE)?.0, SEQUENCE)?;
            let (reject, rest) = optional(rest, REJECT)?;
            let (alias, rest) = optional(rest, UTF8_STRING)?;
            let reject = elements(reject.unwrap_or_default())?;
            let mut trust = elements(trust.unwrap_or_default())?;
            trust.retain(|purpose| !reject.contains(purpose));
            let usable = !trust.is_empty();
            let reserved = reserved();
            let named = if usable { trust } else { vec![reserved.as_slice()] };
            self.attach(certificate.public_key, EXTENDED_KEY_USAGE, sequence(&named));
            if !reject.is_empty() {
                self.attach(certificate.public_key, OPENSSL_REJECT, sequence(&reject));
            }
            if rest.first() == Some(&OCTET_STRING) {
                self.attach(certificate.public_key, SUBJECT_KEY_IDENTIFIER, whole(rest)?.0.to_vec());
            }
            found.label = alias.map(|alias| String::from_utf8_lossy(alias).into_owned());
            if place == Place::Plain || place == Place::Anchors && !usable {
                (found.trusted, found.distrusted) = (usable, !usable);
            }
        }
        self.certificates.push(found);
        Ok(())
    }
}

/// The purpose that stands for none, since a list of purposes cannot be empty.
fn reserved() -> Vec<u8> {
    let mut der = Vec::new();
    append(&mut der, OBJECT_IDENTIFIER, RESERVED_PURPOSE);
    der
}

fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    let mut der = Vec::new();
    append(&mut der, SEQUENCE, &elements.concat());
    der
}

impl Item {
    /// Whether it is trusted for a purpose: what is attached decides, then the certificate itself; where neither says
    /// anything, it is for all.
    fn serves(&self, purpose: &[u8]) -> bool {
        /// `anyExtendedKeyUsage`.
        const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
        let attached = self.attached.get(EXTENDED_KEY_USAGE).map(Vec::as_slice);
        let own =
            || Certificate::read(&self.der).ok().and_then(|(read, _)| read.extension(EXTENDED_KEY_USAGE));
        let Some(value) = attached.or_else(own) else { return true };
        // What cannot be read gives no trust.
        let purposes = certificate::purposes(value).unwrap_or_default();
        purposes.iter().any(|found| *found == purpose || *found == ANY)
    }
}
