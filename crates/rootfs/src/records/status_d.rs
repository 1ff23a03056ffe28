//! `/var/lib/dpkg/status.d`: for each package a file of its name with its status paragraph, and beside it the
//! checksums of its files. dpkg does not read it; syft, trivy and grype do.

use super::{DebPackage, RecordError, Recorder, made_for, stanza};

/// Where the records lie.
pub(super) const DIRECTORY: &str = "var/lib/dpkg/status.d";

/// Where they lie in a host, whose `/var` is the machine's: `/var/lib/dpkg` leads there.
pub(super) const OF_HOSTS: &str = "usr/lib/sysimage/dpkg/status.d";

pub(super) fn write(
    recorder: &mut Recorder<'_>,
    packages: &[DebPackage<'_>],
    directory: &str,
) -> Result<(), RecordError> {
    for package in packages {
        let owner = made_for(package);
        let path = format!("{directory}/{}", package.unpacked.name);
        recorder.file(&path, stanza(package, &[])?.as_bytes(), 0o644, &owner)?;
        let md5sums = recorder.md5sums(package, true)?;
        if !md5sums.is_empty() {
            recorder.file(&format!("{path}.md5sums"), md5sums.as_bytes(), 0o644, &owner)?;
        }
    }
    Ok(())
}
