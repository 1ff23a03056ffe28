//! An RPM package, format 4, unsigned: what trusts it is the directory that it lies in.

use anyhow::Result;
use rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};

use super::contents::{Content, Package};
use super::{HOMEPAGE, LICENCE, MAINTAINER, Made, RELEASE};
use crate::cross::Target;

/// How hard is tried: as Fedora does.
const LEVEL: i32 = 19;

pub fn make(package: Package, target: Target) -> Result<Made> {
    let time = u32::try_from(package.time)?;
    let config = BuildConfig::v4().source_date(time).compression(CompressionWithLevel::Zstd(LEVEL));
    let Package { name, summary, description, files, .. } = &package;
    let mut builder = PackageBuilder::new(name, &package.version, LICENCE, target.machine, summary);
    builder.using_config(config).release(RELEASE).url(HOMEPAGE).description(*description);
    // Of the build nothing is told that another one could not repeat.
    builder.vendor("Calypte").packager(MAINTAINER).build_host("calypte");
    for (path, file) in files {
        let path = format!("/{path}");
        match &file.content {
            Content::Link(target) => builder.with_symlink(FileOptions::symlink(path, target.as_str()))?,
            Content::Bytes(bytes) => {
                let options = FileOptions::new(path.as_str()).permissions(u16::try_from(file.mode)?);
                let options = if path.starts_with("/etc/") { options.config().noreplace() } else { options };
                builder.with_file_contents(bytes.clone(), options)?
            }
        };
    }
    let built = builder.build()?;
    let mut bytes = Vec::new();
    built.write(&mut bytes)?;
    let file = format!("{name}-{}-{RELEASE}.{}.rpm", package.version, target.machine);
    Ok(Made { file, bytes, package, target })
}
