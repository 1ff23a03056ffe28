//! The metadata that no tool on a test machine makes: metalinks, advisories, and what differs between their writers.
//! What createrepo_c makes is in `oracle_createrepo.rs`.

use std::io::{BufReader, Read, repeat};

use calypte_formats::compression::{Compression, CompressionError, decoder};
use calypte_formats::rpm_dependency::Operator;
use calypte_formats::rpm_repository::metalink::{self, MirrorUrl};
use calypte_formats::rpm_repository::primary::Entry;
use calypte_formats::rpm_repository::updateinfo::{self, Reference, UpdatePackage};
use calypte_formats::rpm_repository::{RepositoryError, filelists, primary, repomd};

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn metalink_text() -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" pubdate="Mon, 23 Nov 2026 12:00:00 GMT" generator="mirrormanager" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1795435200</mm0:timestamp>
   <size>4712</size>
   <verification>
    <hash type="md5">d41d8cd98f00b204e9800998ecf8427e</hash>
    <hash type="sha256">{DIGEST}</hash>
    <hash type="blake3">00</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1795348800</mm0:timestamp>
     <size>4711</size>
     <verification>
      <hash type="sha1">da39a3ee5e6b4b0d3255bfef95601890afd80709</hash>
     </verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="https" type="https" location="DE" preference="100">https://mirror.example.org/fedora/development/rawhide/Everything/x86_64/os/repodata/repomd.xml</url>
    <url protocol="rsync" type="rsync" location="US" preference="99">rsync://mirror.example.net/f/repodata/repomd.xml</url>
    <url protocol="http">
      http://mirror.example.com/repomd.xml?a=1&amp;b=2
    </url>
   </resources>
  </file>
 </files>
</metalink>
"#
    )
}

#[test]
fn the_metalink_of_a_mirror_manager() {
    let metalink = metalink::parse(metalink_text().as_bytes()).unwrap();
    assert_eq!(
        (metalink.file.as_str(), metalink.timestamp, metalink.size),
        ("repomd.xml", 1_795_435_200, 4_712)
    );
    assert_eq!(metalink.hashes.sha256().unwrap().hex(), DIGEST);
    assert_eq!(metalink.hashes.0.keys().collect::<Vec<_>>(), ["md5", "sha256"]);
    let [alternate] = &metalink.alternates[..] else { panic!("one older version") };
    assert_eq!((alternate.timestamp, alternate.size), (1_795_348_800, 4_711));
    assert_eq!((alternate.hashes.sha256(), alternate.hashes.0.len()), (None, 1));
    let [german, american, odd] = &metalink.urls[..] else { panic!("three mirrors") };
    assert_eq!(
        *german,
        MirrorUrl {
            url: "https://mirror.example.org/fedora/development/rawhide/Everything/x86_64/os/repodata/repomd.xml"
                .to_owned(),
            preference: 100,
            protocol: "https".to_owned(),
            location: Some("DE".to_owned()),
        }
    );
    assert_eq!(
        german.repository(),
        Some("https://mirror.example.org/fedora/development/rawhide/Everything/x86_64/os/")
    );
    assert_eq!((american.preference, american.protocol.as_str()), (99, "rsync"));
    assert_eq!((odd.url.as_str(), odd.repository()), ("http://mirror.example.com/repomd.xml?a=1&b=2", None));
    assert_eq!((odd.preference, odd.location.as_ref()), (0, None));
}

#[test]
fn the_advisories_of_several_writers() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="updates@fedoraproject.org" status="stable" type="security" version="2.0">
    <id>FEDORA-2026-0123456789</id>
    <title>nginx-1.29.3-2.fc44 &amp; more</title>
    <issued date="2026-10-30 08:08:01"/>
    <updated date="never"/>
    <severity>Important</severity>
    <description><![CDATA[It <b>leaks</b> & crashes.]]></description>
    <references>
      <reference href="https://bugzilla.redhat.com/show_bug.cgi?id=1&amp;x=2" id="1" type="bugzilla" title="CVE-2026-1 nginx"/>
      <reference id="CVE-2026-1" type="cve"/>
    </references>
    <pkglist>
      <collection short="F44">
        <name>Fedora 44</name>
        <package name="nginx" version="1.29.3" release="2.fc44" epoch="2" arch="x86_64" src="nginx.src.rpm">
          <filename>nginx-1.29.3-2.fc44.x86_64.rpm</filename>
          <sum type="md5">0</sum>
        </package>
        <package name="nginx-core" version="1.29.3" release="2.fc44" arch="noarch"/>
      </collection>
    </pkglist>
  </update>
  <update type="bugfix"><id>A</id><issued date="2026-10-30"/><severity/></update>
  <update><id>B</id><issued date="1793347681"/></update>
  <update><id>C</id></update>
</updates>"#;
    let mut updates = Vec::new();
    updateinfo::read(text.as_bytes(), &mut |update| {
        updates.push(update.clone());
        Ok::<(), RepositoryError>(())
    })
    .unwrap();
    let [first, day, seconds, bare] = &updates[..] else { panic!("four advisories") };
    assert_eq!((first.id.as_str(), first.kind.as_str()), ("FEDORA-2026-0123456789", "security"));
    assert_eq!(first.title, "nginx-1.29.3-2.fc44 & more");
    assert_eq!(first.severity.as_deref(), Some("Important"));
    assert_eq!(first.description, "It <b>leaks</b> & crashes.");
    assert_eq!(first.issued.unwrap().to_string(), "2026-10-30T08:08:01Z");
    let reference = |kind: &str, id: &str, href: &str, title: &str| Reference {
        kind: kind.to_owned(),
        id: id.to_owned(),
        href: href.to_owned(),
        title: title.to_owned(),
    };
    let bug = "https://bugzilla.redhat.com/show_bug.cgi?id=1&x=2";
    assert_eq!(
        first.references,
        [reference("bugzilla", "1", bug, "CVE-2026-1 nginx"), reference("cve", "CVE-2026-1", "", "")]
    );
    let package = |name: &str, epoch, arch: &str| UpdatePackage {
        name: name.to_owned(),
        epoch,
        version: "1.29.3".to_owned(),
        release: "2.fc44".to_owned(),
        arch: arch.to_owned(),
    };
    assert_eq!(first.packages, [package("nginx", 2, "x86_64"), package("nginx-core", 0, "noarch")]);
    assert_eq!((day.issued.unwrap().to_string().as_str(), &day.severity), ("2026-10-30T00:00:00Z", &None));
    assert_eq!(seconds.issued.unwrap().to_string(), "2026-10-30T08:08:01Z");
    assert_eq!((bare.kind.as_str(), bare.issued), ("", None));
}

/// A package of `primary.xml` with these relations, and this in place of its files.
fn primary_text(entries: &str, files: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><!-- made by hand --><metadata packages="1"><package type='rpm'
 ><name>a&#43;b</name><arch>noarch</arch><version ver="1" rel="2"/><checksum type="sha256" pkgid="YES">{DIGEST}</checksum>
 <summary>x &lt; y</summary><time file="1" build="2"/><size package="3" installed="4" archive="5"/>
 <location href="Packages/a/a+b-1-2~x.rpm"/><new/><format><p:sourcerpm xmlns:p="urn:x"/><provides>{entries}</provides>{files}</format>
</package></metadata>"#
    )
}

#[test]
fn relations_and_texts_in_all_their_spellings() {
    let entries = r#"<entry name="n &gt;= &quot;x&quot;"/><entry name='v' flags='LE' ver='1' epoch='' rel=''/>
        <entry name="ignored" epoch="1" ver="2"/><entry name="u" flags="EQ" epoch="3" ver="d==" pre="1"/>"#;
    let files = "<file type=\"dir\">/a  &amp; <![CDATA[<b>]]><!-- no --> ü</file><file> /x</file>";
    let read = |text: &str, visit: &mut dyn FnMut(&primary::Package<'_>)| {
        primary::read(text.as_bytes(), &mut |package| {
            visit(package);
            Ok::<(), RepositoryError>(())
        })
    };
    let plain = Entry { name: "", flags: None, epoch: 0, version: None, release: None, pre: false };
    let mut seen = 0;
    let good = files.replace("> /x", ">/x");
    read(&primary_text(entries, &good), &mut |package| {
        seen += 1;
        assert_eq!((package.name, package.epoch, package.sourcerpm), ("a+b", 0, None));
        assert_eq!((package.build_time, package.size, package.installed_size), (2, 3, 4));
        let expected = [
            Entry { name: "n >= \"x\"", ..plain },
            Entry { name: "v", flags: Some(Operator::LessEqual), version: Some("1"), ..plain },
            Entry { name: "ignored", ..plain },
            Entry {
                name: "u",
                flags: Some(Operator::Equal),
                epoch: 3,
                version: Some("d=="),
                pre: true,
                ..plain
            },
        ];
        assert_eq!(package.provides, expected);
        let paths: Vec<_> = package.files.iter().map(|file| file.path).collect();
        assert_eq!(paths, ["/a  & <b> ü", "/x"]);
    })
    .unwrap();
    assert_eq!(seen, 1);
    // A blank before a text is part of it.
    let error = read(&primary_text(entries, files), &mut |_| ()).unwrap_err();
    assert!(matches!(error, RepositoryError::Value { field: "path of a file", .. }), "{error}");
}

#[test]
fn the_error_of_a_visitor_ends_the_reading() {
    #[derive(Debug)]
    enum Error {
        Enough,
        Other,
    }
    impl From<RepositoryError> for Error {
        fn from(_: RepositoryError) -> Self {
            Self::Other
        }
    }
    let text = primary_text("", "");
    let result = primary::read(text.as_bytes(), &mut |_| Err(Error::Enough));
    assert!(matches!(result, Err(Error::Enough)));
    let result = primary::read(&text.as_bytes()[1..], &mut |_| Err(Error::Enough));
    assert!(matches!(result, Err(Error::Other)));
}

#[test]
fn endless_input_costs_no_more_than_a_limit() {
    let limited = |start: &str, endless: u8| {
        let input = BufReader::new(start.as_bytes().chain(repeat(endless)));
        let error = filelists::read::<RepositoryError>(input, &mut |_| Ok(())).unwrap_err();
        assert!(matches!(error, RepositoryError::Limit { .. }), "{start}: {error}");
    };
    let package = format!("<filelists packages=\"1\"><package pkgid=\"{DIGEST}\" name=\"a\" arch=\"b\">");
    limited("", b' ');
    limited("", b'a');
    limited("<", b'a');
    limited("<!--", b'-');
    limited("<?", b'x');
    limited("<filelists packages=\"1\" x=\"", b'x');
    limited("<filelists packages=\"1\"><x><![CDATA[", b'x');
    limited(&format!("{package}<file>/"), b'x');
    limited(&format!("{package}<file>/&"), b'x');
    let repeated = |piece: &str, start: &str| {
        let text = format!("{start}{}", piece.repeat(6_000_000 / piece.len()));
        let error = filelists::read::<RepositoryError>(text.as_bytes(), &mut |_| Ok(())).unwrap_err();
        assert!(matches!(error, RepositoryError::Limit { .. }), "{piece}: {error}");
    };
    repeated("<x>", &package);
    repeated("<![CDATA[xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]]>", &format!("{package}<file>/"));
}

#[test]
fn what_failed_below_is_told() {
    let text = primary_text("", "");
    let input = decoder(Compression::None, text.as_bytes(), 200).unwrap();
    let error = primary::read::<RepositoryError>(BufReader::new(input), &mut |_| Ok(())).unwrap_err();
    let RepositoryError::Io(source) = error else { panic!("{error}") };
    assert!(
        matches!(CompressionError::of(&source), Some(CompressionError::LimitExceeded { .. })),
        "{source}"
    );
}

#[test]
fn the_number_of_files_of_metadata_is_limited() {
    let file = format!(
        "<checksum type=\"sha256\">{DIGEST}</checksum><location href=\"a\"/><timestamp>1</timestamp><size>2</size>"
    );
    let text = |count: usize| {
        let files: Vec<_> = (0..count).map(|name| format!("<data type=\"{name}\">{file}</data>")).collect();
        format!("<repomd>{}</repomd>", files.concat())
    };
    assert_eq!(repomd::parse(text(1_000).as_bytes()).unwrap().data.len(), 1_000);
    let error = repomd::parse(text(1_001).as_bytes()).unwrap_err();
    assert!(matches!(error, RepositoryError::Limit { limit: 1_000, .. }), "{error}");
}

#[test]
fn the_hint_says_how_to_make_other_checksums() {
    let text = "<repomd><data type=\"primary\"><checksum type=\"sha\">0</checksum></data></repomd>";
    let error = repomd::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.hint().unwrap(), "make the metadata again with `createrepo_c --checksum sha256`");
}
