//! `calypte key`: a pair of keys to sign images with.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use calypte_trust::sigstore::{PublicKey, PublicKeys, SigningKey};

use crate::Verdict;
use crate::output;

/// Options of `calypte key`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Writes FILE, the private key (ECDSA P-256, PKCS #8, readable by its owner alone), and FILE.pub, which \
`calypte verify` and `cosign verify` take. Neither file may be there."
)]
pub struct Arguments {
    /// The file of the private key
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes the keys.
///
/// # Errors
/// When a file is there or cannot be written.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let key = loop {
        if let Some(key) = SigningKey::from_secret(&calypte_catalog::random_bytes()?) {
            break key;
        }
    };
    let mut public = arguments.file.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    create(&public, 0o644, &key.public().to_pem())?;
    create(&arguments.file, 0o600, &key.to_pem())?;
    output::print(&format!("{} signs, {} checks.\n", arguments.file.display(), public.display()))?;
    Ok(Verdict::Yes)
}

/// A key that signs, out of its file.
///
/// # Errors
/// When the file cannot be read or holds no such key.
pub fn signing_key(file: &Path) -> Result<SigningKey> {
    Ok(SigningKey::from_pem(&fs_err::read(file)?, &file.display().to_string())?)
}

/// Keys that signatures are held against, out of their files.
///
/// # Errors
/// When a file cannot be read or holds no such key.
pub fn public_keys(files: &[PathBuf]) -> Result<PublicKeys> {
    let mut keys = PublicKeys::default();
    for file in files {
        let name = file.display().to_string();
        keys.add(name.clone(), PublicKey::from_pem(&fs_err::read(file)?, &name)?);
    }
    Ok(keys)
}

fn create(path: &Path, mode: u32, text: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
