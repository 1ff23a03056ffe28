//! Every file below `data/bad/PARSER/` must be refused by that parser: with an error, and without a panic. What a fuzz
//! target or a hostile archive taught goes there as one more file.

use std::fmt::Write as _;
use std::io::{Cursor, Read};
use std::path::Path;

use calypte_formats::accounts::{self, PasswdLine};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::deb::{self, DebError, DebVisitor, Limits};
use calypte_formats::debian_release::Release;
use calypte_formats::rpm::{FileEntry, Header, RpmError, RpmVisitor};
use calypte_formats::rpm_repository::{RepositoryError, filelists, metalink, primary, repomd, updateinfo};
use calypte_formats::tar::Entry;
use calypte_formats::{
    ar, cpio, deb822, dpkg, elf, ld_cache, oci, p11_kit, rpm, rpm_dependency, sysusers, tar, tmpfiles, xattr,
    zstd_chunked,
};

type Outcome = Result<(), String>;
/// Takes a file by its name and bytes.
type Parser = fn(&str, &[u8]) -> Outcome;

/// Each parser with the name of its folder.
const PARSERS: [(&str, Parser); 26] = [
    ("accounts", |_, bytes| outcome(accounts::parse::<PasswdLine>(&text(bytes)))),
    ("ar", |_, bytes| read_ar(bytes)),
    ("capability", |_, bytes| outcome(xattr::capability(&text(bytes)))),
    ("compression", decompress),
    ("control", |_, bytes| outcome(dpkg::status_stanza(bytes, &[]))),
    ("cpio", |_, bytes| read_cpio(bytes)),
    ("deb", |_, bytes| outcome(deb::read(bytes, &Limits::default(), &mut Visitor))),
    ("deb822", |_, bytes| outcome(deb822::paragraphs(bytes).collect::<Result<Vec<_>, _>>())),
    ("elf", |_, bytes| outcome(elf::facts(Cursor::new(bytes)))),
    ("ld_cache", |_, bytes| outcome(ld_cache::read(bytes))),
    ("md5sums", |_, bytes| outcome(dpkg::parse_md5sums(&text(bytes)))),
    ("oci-manifest", |_, bytes| outcome(serde_json::from_slice::<oci::Manifest>(bytes))),
    ("p11_kit", |_, bytes| outcome(p11_kit::parse(bytes))),
    ("release", |_, bytes| outcome(Release::parse(bytes))),
    ("rpm", |_, bytes| outcome(rpm::read(bytes, &rpm::Limits::default(), &mut Visitor))),
    ("rpm_dependency", |_, bytes| outcome(rpm_dependency::parse(&text(bytes)))),
    ("rpm_filelists", |_, bytes| outcome(filelists::read::<RepositoryError>(bytes, &mut |_| Ok(())))),
    ("rpm_metalink", |_, bytes| outcome(metalink::parse(bytes))),
    ("rpm_primary", |_, bytes| outcome(primary::read::<RepositoryError>(bytes, &mut |_| Ok(())))),
    ("rpm_repomd", |_, bytes| outcome(repomd::parse(bytes))),
    ("rpm_updateinfo", |_, bytes| outcome(updateinfo::read::<RepositoryError>(bytes, &mut |_| Ok(())))),
    ("sysusers", |name, bytes| outcome(sysusers::parse(name, &text(bytes)))),
    ("tar", |_, bytes| read_tar(bytes)),
    ("tmpfiles", |name, bytes| outcome(tmpfiles::parse(name, &text(bytes)))),
    ("zstd_chunked_tar_split", |_, bytes| outcome(zstd_chunked::read_tar_split(bytes))),
    ("zstd_chunked_toc", |_, bytes| outcome(zstd_chunked::Toc::parse(bytes, 100))),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn outcome<T, E: ToString>(result: Result<T, E>) -> Outcome {
    result.map(|_| ()).map_err(|error| error.to_string())
}

fn read_ar(bytes: &[u8]) -> Outcome {
    let mut reader = ar::Reader::new(bytes).map_err(|error| error.to_string())?;
    while reader.next_member().map_err(|error| error.to_string())?.is_some() {}
    Ok(())
}

fn read_cpio(bytes: &[u8]) -> Outcome {
    let mut reader = cpio::Reader::new(bytes);
    while reader.next_item().map_err(|error| error.to_string())?.is_some() {}
    Ok(())
}

fn read_tar(bytes: &[u8]) -> Outcome {
    let mut reader = tar::Reader::new(bytes);
    while reader.next_entry().map_err(|error| error.to_string())?.is_some() {}
    Ok(())
}

fn decompress(name: &str, bytes: &[u8]) -> Outcome {
    const LIMIT: u64 = 1 << 20;
    let compression = name.rsplit('.').next().and_then(Compression::from_extension).expect("the name tells");
    let mut output = Vec::new();
    let read = decoder(compression, bytes, LIMIT).and_then(|mut decoder| decoder.read_to_end(&mut output));
    assert!(output.len() as u64 <= LIMIT, "{name}");
    outcome(read)
}

struct Visitor;

impl DebVisitor for Visitor {
    type Error = DebError;

    fn control_file(&mut self, _: &str, _: &[u8]) -> Result<(), DebError> {
        Ok(())
    }

    fn data_entry(&mut self, _: &Entry, _: &mut dyn Read) -> Result<(), DebError> {
        Ok(())
    }
}

/// Asks for all that a header has, and skips the files.
impl RpmVisitor for Visitor {
    type Error = RpmError;

    fn headers(&mut self, _: &Header, header: &Header) -> Result<(), RpmError> {
        header.identity()?;
        header.scriptlets()?;
        rpm::accounts(header)?;
        Ok(())
    }

    fn file(&mut self, _: &FileEntry, _: &mut dyn Read) -> Result<(), RpmError> {
        Ok(())
    }
}

#[test]
fn every_bad_input_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad");
    let mut folders: Vec<_> =
        root.read_dir().unwrap().map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(
        folders,
        PARSERS.map(|(folder, _)| folder),
        "a folder without a parser, or the other way round"
    );
    let mut listing = String::new();
    for (folder, parse) in PARSERS {
        let mut paths: Vec<_> =
            root.join(folder).read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let mut bytes = Vec::new();
            std::fs::OpenOptions::new().read(true).open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let reason = parse(&name, &bytes).expect_err(&format!("{folder}/{name} is taken as good"));
            writeln!(listing, "{folder}/{name}: {reason}").unwrap();
        }
    }
    // Each for its own reason: otherwise a file would test nothing that another does not.
    insta::assert_snapshot!(listing);
}
