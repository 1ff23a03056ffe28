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
const VERSION: u32 = 1;

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
        let (mut provides, mut requires) = (String::new(), String::new());
        entry(&mut provides, &name, Some(("EQ", &version)));
        if architecture == "x86_64" {
            entry(&mut provides, &format!("{name}(x86-64)"), Some(("EQ", &version)));
        }
        self.relations(shape, number, &version, &mut provides, &mut requires);
        let files = self.files(shape, &name, number);

        let digest = format!("{number:064x}");
        let release = "3.fc44";
        self.primary.clear();
        write!(
            self.primary,
            "<package type=\"rpm\">\n  <name>{name}</name>\n  <arch>{architecture}</arch>\n  \
             <version epoch=\"0\" ver=\"{version}\" rel=\"{release}\"/>\n  \
             <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>\n  <summary>The {name} package of a benchmark</summary>\n  \
             <description>A package that was made up, with as many words to pass over as usual: what it is for, how it \
             differs from others of its kind, and where to read more of it.</description>\n  <packager>Fixture</packager>\n  \
             <url>https://example.org/{name}</url>\n  <time file=\"1750000000\" build=\"1749990000\"/>\n  \
             <size package=\"{size}\" installed=\"{installed}\" archive=\"{installed}\"/>\n  \
             <location href=\"Packages/{letter}/{name}-{version}-{release}.{architecture}.rpm\"/>\n  <format>\n    \
             <rpm:license>MIT</rpm:license>\n    <rpm:vendor>Fixture</rpm:vendor>\n    <rpm:group>Unspecified</rpm:group>\n    \
             <rpm:buildhost>fixture</rpm:buildhost>\n    <rpm:sourcerpm>{name}-{version}-{release}.src.rpm</rpm:sourcerpm>\n    \
             <rpm:header-range start=\"4504\" end=\"12345\"/>\n    <rpm:provides>\n{provides}    </rpm:provides>\n    \
             <rpm:requires>\n{requires}    </rpm:requires>\n",
            size = 10_000 + number * 7 % 900_000,
            installed = 30_000 + number * 31 % 9_000_000,
            letter = &name[..1],
        )
        .unwrap_or_default();
        self.filelists.clear();
        write!(
            self.filelists,
            "<package pkgid=\"{digest}\" name=\"{name}\" arch=\"{architecture}\">\n  \
             <version epoch=\"0\" ver=\"{version}\" rel=\"{release}\"/>\n"
        )
        .unwrap_or_default();
        for (path, is_directory) in &files {
            let kind = if *is_directory { " type=\"dir\"" } else { "" };
            writeln!(self.filelists, "  <file{kind}>{path}</file>").unwrap_or_default();
            // As createrepo chooses what stands in both.
            if path.starts_with("/etc/") || path.contains("bin/") {
                writeln!(self.primary, "    <file{kind}>{path}</file>").unwrap_or_default();
            }
        }
        self.primary.push_str("  </format>\n</package>\n");
        self.filelists.push_str("</package>\n");
    }

    fn relations(
        &mut self,
        shape: Shape,
        number: usize,
        version: &str,
        provides: &mut String,
        requires: &mut String,
    ) {
        let word = word_of(number);
        let count = 1 + self.below(7);
        match shape {
            Shape::Crate => {
                entry(provides, &format!("crate({word})"), Some(("EQ", version)));
                entry(provides, &format!("crate({word}/default)"), Some(("EQ", version)));
                entry(requires, "cargo", None);
                for _ in 0..count {
                    let other = word_of(self.earlier(number));
                    let rich = format!(
                        "(crate({other}/default) &gt;= 1.0.0 with crate({other}/default) &lt; 2.0.0~)"
                    );
                    entry(requires, &rich, None);
                }
            }
            Shape::Python => {
                for prefix in ["python3dist", "python3.14dist"] {
                    entry(provides, &format!("{prefix}({word})"), Some(("EQ", version)));
                }
                entry(provides, &format!("python-{word}"), Some(("EQ", version)));
                entry(requires, "python(abi)", Some(("EQ", "3.14")));
                for _ in 0..count {
                    let other = word_of(self.earlier(number));
                    entry(requires, &format!("python3.14dist({other})"), Some(("GE", "1.0")));
                }
            }
            Shape::Perl => {
                for part in 0..count {
                    entry(provides, &format!("perl({word}::Part{part})"), Some(("EQ", version)));
                    let other = word_of(self.earlier(number));
                    entry(requires, &format!("perl({other}::Part0)"), None);
                }
                entry(requires, "perl-libs", None);
            }
            Shape::Go => {
                for part in 0..count * 3 {
                    entry(provides, &format!("golang(example.org/{word}/part{part})"), Some(("EQ", version)));
                }
                for _ in 0..count {
                    let other = word_of(self.earlier(number));
                    entry(requires, &format!("golang(example.org/{other}/part0)"), None);
                }
            }
            Shape::Tex => {
                for part in 0..count {
                    entry(provides, &format!("tex({word}-{part}.sty)"), Some(("EQ", version)));
                }
                entry(requires, "texlive-base", None);
            }
            Shape::Library | Shape::Haskell => {
                entry(provides, &format!("lib{word}.so.1()(64bit)"), None);
                for minor in 0..count {
                    entry(provides, &format!("lib{word}.so.1({word}_1.{minor})(64bit)"), None);
                }
                self.libraries(count, number, requires);
            }
            Shape::Development => {
                entry(provides, &format!("pkgconfig({word})"), Some(("EQ", version)));
                entry(requires, "/usr/bin/pkg-config", None);
                entry(
                    requires,
                    &format!("lib{}.so.1()(64bit)", word_of(self.earlier(number - number % 100 + 60))),
                    None,
                );
            }
            Shape::Program => {
                entry(provides, &format!("application({word}.desktop)"), None);
                self.libraries(count, number, requires);
                entry(requires, "/bin/sh", None);
                entry(requires, &format!("({word}-langpack if langpacks-core)"), None);
            }
        }
        entry(requires, "rpmlib(CompressedFileNames)", Some(("LE", "3.0.4")));
        entry(requires, "rpmlib(PayloadIsZstd)", Some(("LE", "5.4.18")));
    }

    /// What a program links against.
    fn libraries(&mut self, count: u64, number: usize, requires: &mut String) {
        for symbols in ["", "GLIBC_2.2.5", "GLIBC_2.34"] {
            entry(requires, &format!("libc.so.6({symbols})(64bit)"), None);
        }
        entry(requires, "rtld(GNU_HASH)", None);
        for _ in 0..count {
            // The shapes' places within a hundred: libraries begin at 60.
            let library = self
                .earlier(number - number % 100 + 60 + usize::try_from(self.state % 10).unwrap_or_default());
            let word = word_of(library);
            entry(requires, &format!("lib{word}.so.1()(64bit)"), None);
            entry(requires, &format!("lib{word}.so.1({word}_1.0)(64bit)"), None);
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
