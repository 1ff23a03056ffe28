//! Metadata of a repository of Rawhide's size: the RPM fixture's packages among 75,000 made-up ones.
//!
//! The made-up packages have the shapes that fill Rawhide (crates with a package a feature, Python and Perl modules,
//! Go sources, TeX, libraries with their symbol versions, programs), with names, relations, rich ones among them, and
//! lists of files in about its numbers. No file of them exists: they are there to be read and passed over. The same
//! numbers come out each time.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::run;

/// Packages, as Rawhide has for x86_64.
pub const PACKAGES: usize = 75_000;

/// Goes into the directory's name: a new number when the generator changes.
const VERSION: u32 = 2;

/// Makes the repository below `target/tmp` unless it is there; the root for a server, with `current/` in it.
pub fn make(fixture: &Path) -> Result<PathBuf> {
    let root = run::workspace().join(format!("target/tmp/rawhide-{VERSION}-{PACKAGES}"));
    let place = Path::new("current/development/rawhide/Everything/x86_64/os");
    let packages = root.join(place).join("Packages");
    if root.join("complete").exists() && is_current(&packages, fixture) {
        return Ok(root);
    }
    if root.exists() {
        fs_err::remove_dir_all(&root)?;
    }
    let repository = root.join(place);
    let repodata = repository.join("repodata");
    fs_err::create_dir_all(&repodata)?;
    std::os::unix::fs::symlink(fixture.join("Packages"), &packages)?;
    eprintln!("writing metadata of {PACKAGES} packages to {}", repository.display());
    let real = [real(fixture, "primary")?, real(fixture, "filelists")?];
    let [primary, filelists] = &real;
    let mut primary = Sink::new(
        &repodata,
        "primary",
        "metadata",
        "common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm",
        primary,
    )?;
    let mut filelists = Sink::new(&repodata, "filelists", "filelists", "filelists", filelists)?;
    let mut generator = Generator::default();
    for number in 0..PACKAGES {
        generator.package(number);
        primary.write(&generator.primary)?;
        filelists.write(&generator.filelists)?;
    }
    let data = [primary.close()?, filelists.close()?].concat();
    let repomd = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n\
         <revision>1750000000</revision>\n{data}</repomd>\n"
    );
    fs_err::write(repodata.join("repomd.xml"), repomd)?;
    fs_err::write(root.join("complete"), "")?;
    Ok(root)
}

/// Whether the packages are those of this state of the fixture.
fn is_current(packages: &Path, fixture: &Path) -> bool {
    fs_err::read_link(packages).is_ok_and(|target| target == fixture.join("Packages")) && packages.exists()
}

/// The entries of the real packages in a file of the fixture's metadata, and their number.
fn real(fixture: &Path, kind: &str) -> Result<(String, usize)> {
    let file = fixture.join("repodata").join(format!("{kind}.xml.gz"));
    let text = run::output(Command::new("gzip").arg("-dc").arg(&file))?;
    let start = text.find("<package ").context("no package in the fixture")?;
    let end = text.rfind("</package>").context("no package in the fixture")? + "</package>".len();
    let entries = text[start..end].to_owned();
    let count = entries.matches("</package>").count();
    Ok((entries, count))
}

/// A file of metadata on its way through zstd.
struct Sink {
    kind: &'static str,
    element: &'static str,
    file: PathBuf,
    child: std::process::Child,
    size: usize,
}

impl Sink {
    fn new(
        repodata: &Path,
        kind: &'static str,
        element: &'static str,
        namespace: &str,
        (real, count): &(String, usize),
    ) -> Result<Self> {
        let file = repodata.join(format!("{kind}.xml.zst"));
        let child = Command::new("zstd")
            .args(["-q", "-3", "-f", "-o"])
            .arg(&file)
            .stdin(Stdio::piped())
            .spawn()
            .context("zstd could not be started")?;
        let mut sink = Self { kind, element, file, child, size: 0 };
        let total = PACKAGES + count;
        sink.write(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{element} xmlns=\"http://linux.duke.edu/metadata/{namespace}\" \
             packages=\"{total}\">\n{real}\n"
        ))?;
        Ok(sink)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.size += text.len();
        let input = self.child.stdin.as_mut().context("zstd has no input")?;
        Ok(input.write_all(text.as_bytes())?)
    }

    /// Ends the file; what `repomd.xml` says of it.
    fn close(mut self) -> Result<String> {
        let end = format!("</{}>\n", self.element);
        self.write(&end)?;
        drop(self.child.stdin.take());
        ensure!(self.child.wait()?.success(), "zstd failed");
        let sum = run::output(Command::new("sha256sum").arg(&self.file))?;
        let digest = sum.split(' ').next().unwrap_or_default();
        Ok(format!(
            "<data type=\"{kind}\"><checksum type=\"sha256\">{digest}</checksum><location href=\"repodata/{kind}.xml.zst\"/>\
             <timestamp>1750000000</timestamp><size>{size}</size><open-size>{open}</open-size></data>\n",
            kind = self.kind,
            size = fs_err::metadata(&self.file)?.len(),
            open = self.size,
        ))
    }
}

/// A kind of package, and how much of the distribution is of it.
#[derive(Clone, Copy)]
enum Shape {
    Crate,
    Python,
    Perl,
    Go,
    Tex,
    Library,
    Development,
    Haskell,
    Program,
}

/// One in a hundred each.
const SHARES: &[(Shape, u64)] = &[
    (Shape::Crate, 22),
    (Shape::Python, 14),
    (Shape::Perl, 6),
    (Shape::Go, 8),
    (Shape::Tex, 10),
    (Shape::Library, 10),
    (Shape::Development, 10),
    (Shape::Haskell, 4),
    (Shape::Program, 16),
];

const SYLLABLES: &[&str] = &[
    "ar", "bel", "cor", "dan", "el", "fin", "gar", "hol", "in", "jar", "kel", "lo", "mon", "nor", "ol",
    "pan", "qua", "ros", "sil", "tor", "um", "val", "wen", "xan", "yor", "zet",
];

const RELEASE: &str = "3.fc44";

/// What a package says for people: about as much as usual.
const WORDS: &str = "  <summary>A package of a benchmark</summary>\n  <description>A package that was made up, with as many \
                     words to pass over as usual: what it is for, how it differs from others of its kind, and where to \
                     read more of it.</description>\n  <packager>Fixture</packager>\n";

const FORMAT: &str = "  <format>\n    <rpm:license>MIT</rpm:license>\n    <rpm:vendor>Fixture</rpm:vendor>\n    \
                      <rpm:group>Unspecified</rpm:group>\n    <rpm:buildhost>fixture</rpm:buildhost>\n";

/// The entries of a package's relations.
#[derive(Default)]
struct Relations {
    provides: String,
    requires: String,
}

impl Relations {
    fn provide(&mut self, name: &str, version: Option<(&str, &str)>) {
        entry(&mut self.provides, name, version);
    }

    fn require(&mut self, name: &str, version: Option<(&str, &str)>) {
        entry(&mut self.requires, name, version);
    }
}

#[derive(Default)]
struct Generator {
    state: u64,
    primary: String,
    filelists: String,
}

impl Generator {
    /// The next of a sequence of numbers that look random (splitmix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A package that comes before this one and is of the same shape: what it depends on.
    fn earlier(&mut self, number: usize) -> usize {
        let back = 1 + self.below((number as u64 / 100).max(1));
        // Shapes repeat every hundred packages.
        number.saturating_sub(usize::try_from(back).unwrap_or_default() * 100)
    }

    /// Writes one package's entries.
    fn package(&mut self, number: usize) {
        self.state = number as u64;
        let shape = shape(number);
        let name = name(shape, number);
        let version = version(number);
        let architecture = match shape {
            Shape::Library | Shape::Development | Shape::Haskell | Shape::Program => "x86_64",
            _ => "noarch",
        };
        let mut relations = Relations::default();
        relations.provide(&name, Some(("EQ", &version)));
        if architecture == "x86_64" {
            relations.provide(&format!("{name}(x86-64)"), Some(("EQ", &version)));
        }
        self.provide(shape, number, &version, &mut relations);
        self.require(shape, number, &mut relations);
        let files = self.files(shape, &name, number);

        let digest = format!("{number:064x}");
        self.primary.clear();
        write!(
            self.primary,
            "<package type=\"rpm\">\n  <name>{name}</name>\n  <arch>{architecture}</arch>\n  \
             <version epoch=\"0\" ver=\"{version}\" rel=\"{RELEASE}\"/>\n  \
             <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>\n{WORDS}  \
             <url>https://example.org/{name}</url>\n  <time file=\"1750000000\" build=\"1749990000\"/>\n  \
             <size package=\"{size}\" installed=\"{installed}\" archive=\"{installed}\"/>\n  \
             <location href=\"Packages/{letter}/{name}-{version}-{RELEASE}.{architecture}.rpm\"/>\n{FORMAT}    \
             <rpm:sourcerpm>{name}-{version}-{RELEASE}.src.rpm</rpm:sourcerpm>\n    \
             <rpm:header-range start=\"4504\" end=\"12345\"/>\n    <rpm:provides>\n{provides}    </rpm:provides>\n    \
             <rpm:requires>\n{requires}    </rpm:requires>\n",
            size = 10_000 + number * 7 % 900_000,
            installed = 30_000 + number * 31 % 9_000_000,
            letter = &name[..1],
            provides = relations.provides,
            requires = relations.requires,
        )
        .unwrap_or_default();
        self.filelists.clear();
        write!(
            self.filelists,
            "<package pkgid=\"{digest}\" name=\"{name}\" arch=\"{architecture}\">\n  \
             <version epoch=\"0\" ver=\"{version}\" rel=\"{RELEASE}\"/>\n"
        )
        .unwrap_or_default();
        self.list(&files);
        self.primary.push_str("  </format>\n</package>\n");
        self.filelists.push_str("</package>\n");
    }

    /// Writes the files of a package into its entries.
    fn list(&mut self, files: &[(String, bool)]) {
        for (path, is_directory) in files {
            let kind = if *is_directory { " type=\"dir\"" } else { "" };
            writeln!(self.filelists, "  <file{kind}>{path}</file>").unwrap_or_default();
            // As createrepo chooses what stands in both.
            if path.starts_with("/etc/") || path.contains("bin/") {
                writeln!(self.primary, "    <file{kind}>{path}</file>").unwrap_or_default();
            }
        }
    }

    fn provide(&mut self, shape: Shape, number: usize, version: &str, relations: &mut Relations) {
        let word = word_of(number);
        let count = 1 + self.below(7);
        let mut provide = |name: String| relations.provide(&name, Some(("EQ", version)));
        match shape {
            Shape::Crate => {
                provide(format!("crate({word})"));
                provide(format!("crate({word}/default)"));
            }
            Shape::Python => {
                provide(format!("python3dist({word})"));
                provide(format!("python3.14dist({word})"));
                provide(format!("python-{word}"));
            }
            Shape::Perl => (0..count).for_each(|part| provide(format!("perl({word}::Part{part})"))),
            Shape::Go => {
                (0..count * 3).for_each(|part| provide(format!("golang(example.org/{word}/part{part})")))
            }
            Shape::Tex => (0..count).for_each(|part| provide(format!("tex({word}-{part}.sty)"))),
            Shape::Library | Shape::Haskell => {
                relations.provide(&format!("lib{word}.so.1()(64bit)"), None);
                for minor in 0..count {
                    relations.provide(&format!("lib{word}.so.1({word}_1.{minor})(64bit)"), None);
                }
            }
            Shape::Development => provide(format!("pkgconfig({word})")),
            Shape::Program => relations.provide(&format!("application({word}.desktop)"), None),
        }
    }

    fn require(&mut self, shape: Shape, number: usize, relations: &mut Relations) {
        let count = 1 + self.below(7);
        let others: Vec<String> = (0..count).map(|_| word_of(self.earlier(number))).collect();
        match shape {
            Shape::Crate => {
                relations.require("cargo", None);
                for other in others {
                    let name = format!("crate({other}/default)");
                    relations.require(&format!("({name} &gt;= 1.0.0 with {name} &lt; 2.0.0~)"), None);
                }
            }
            Shape::Python => {
                relations.require("python(abi)", Some(("EQ", "3.14")));
                for other in others {
                    relations.require(&format!("python3.14dist({other})"), Some(("GE", "1.0")));
                }
            }
            Shape::Perl => {
                relations.require("perl-libs", None);
                for other in others {
                    relations.require(&format!("perl({other}::Part0)"), None);
                }
            }
            Shape::Go => {
                for other in others {
                    relations.require(&format!("golang(example.org/{other}/part0)"), None);
                }
            }
            Shape::Tex => relations.require("texlive-base", None),
            Shape::Library | Shape::Haskell => self.libraries(count, number, relations),
            Shape::Development => {
                relations.require("/usr/bin/pkg-config", None);
                self.libraries(1, number, relations);
            }
            Shape::Program => {
                self.libraries(count, number, relations);
                relations.require("/bin/sh", None);
                relations.require(&format!("({}-langpack if langpacks-core)", word_of(number)), None);
            }
        }
        relations.require("rpmlib(CompressedFileNames)", Some(("LE", "3.0.4")));
        relations.require("rpmlib(PayloadIsZstd)", Some(("LE", "5.4.18")));
    }

    /// What a program links against.
    fn libraries(&mut self, count: u64, number: usize, relations: &mut Relations) {
        for symbols in ["", "GLIBC_2.2.5", "GLIBC_2.34"] {
            relations.require(&format!("libc.so.6({symbols})(64bit)"), None);
        }
        relations.require("rtld(GNU_HASH)", None);
        for _ in 0..count {
            // The shapes' places within a hundred: libraries begin at 60.
            let library = self
                .earlier(number - number % 100 + 60 + usize::try_from(self.state % 10).unwrap_or_default());
            let word = word_of(library);
            relations.require(&format!("lib{word}.so.1()(64bit)"), None);
            relations.require(&format!("lib{word}.so.1({word}_1.0)(64bit)"), None);
        }
    }

    /// Its files: few for most, very many for some.
    fn files(&mut self, shape: Shape, name: &str, number: usize) -> Vec<(String, bool)> {
        let word = word_of(number);
        let usual = 10 + self.below(60);
        let count = if self.below(50) == 0 { usual * 40 } else { usual };
        let base = match shape {
            Shape::Crate => format!("/usr/share/cargo/registry/{word}-{}", version(number)),
            Shape::Python => format!("/usr/lib/python3.14/site-packages/{word}"),
            Shape::Perl => format!("/usr/share/perl5/vendor_perl/{word}"),
            Shape::Go => format!("/usr/share/gocode/src/example.org/{word}"),
            Shape::Tex => format!("/usr/share/texlive/texmf-dist/tex/latex/{word}"),
            Shape::Library | Shape::Haskell => format!("/usr/lib64/{word}"),
            Shape::Development => format!("/usr/include/{word}"),
            Shape::Program => format!("/usr/share/{word}"),
        };
        let mut files = vec![(base.clone(), true), (format!("/usr/share/doc/{name}"), true)];
        files.push((format!("/usr/share/doc/{name}/README.md"), false));
        files.push((format!("/usr/share/licenses/{name}/LICENSE"), false));
        if matches!(shape, Shape::Program | Shape::Python) {
            files.push((format!("/usr/bin/{word}"), false));
            files.push((format!("/etc/{word}.conf"), false));
        }
        for part in 0..count {
            let directory = part / 20;
            if part % 20 == 0 {
                files.push((format!("{base}/section{directory}"), true));
            }
            files.push((
                format!("{base}/section{directory}/{}-{part}.data", SYLLABLES[(part % 26) as usize]),
                false,
            ));
        }
        files
    }
}

fn shape(number: usize) -> Shape {
    let mut place = number as u64 % 100;
    for (shape, share) in SHARES {
        if place < *share {
            return *shape;
        }
        place -= share;
    }
    Shape::Program
}

/// A word of its own for each package.
fn word_of(number: usize) -> String {
    let mut word = String::new();
    let mut rest = number;
    loop {
        word.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
        if rest == 0 {
            return word;
        }
        rest -= 1;
    }
}

fn name(shape: Shape, number: usize) -> String {
    let word = word_of(number);
    match shape {
        Shape::Crate => format!("rust-{word}+default-devel"),
        Shape::Python => format!("python3-{word}"),
        Shape::Perl => format!("perl-{word}"),
        Shape::Go => format!("golang-example-{word}-devel"),
        Shape::Tex => format!("texlive-{word}"),
        Shape::Library => format!("lib{word}"),
        Shape::Development => format!("lib{word}-devel"),
        Shape::Haskell => format!("ghc-{word}"),
        Shape::Program => word,
    }
}

fn version(number: usize) -> String {
    format!("1.{}.{}", number % 17, number % 7)
}

fn entry(list: &mut String, name: &str, version: Option<(&str, &str)>) {
    match version {
        Some((flags, version)) => writeln!(
            list,
            "      <rpm:entry name=\"{name}\" flags=\"{flags}\" epoch=\"0\" ver=\"{version}\"/>"
        ),
        None => writeln!(list, "      <rpm:entry name=\"{name}\"/>"),
    }
    .unwrap_or_default();
}
