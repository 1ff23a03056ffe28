//! Documents that `calypte vex --all` wrote, as they are. The path was checked: it stays below the directory.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use super::Reply;
use crate::registry::Problem;

/// Largest file that is served, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A file; `None` where there is none.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(directory: &Path, path: &str) -> Result<Option<Reply>, Problem> {
    let file = directory.join(path);
    let metadata = match fs_err::symlink_metadata(&file) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    // No links: nothing outside the directory is served, whoever wrote into it.
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    fs_err::File::open(&file)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(Some(Reply::new(kind(path), bytes)))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        Some("gz") => "application/gzip",
        _ => "text/plain; charset=utf-8",
    }
}
