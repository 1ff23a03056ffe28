//! `Packages` (deb822) of a Debian repository → a table.

use std::io::Read;

use calypte_base::version::DebVersion;
use calypte_base::{Digest, TreePath};
use calypte_formats::deb822::{Paragraph, Reader};

use super::{COLUMNS, Column, TableError, push_row};
use crate::relation::deb::is_package_name;

/// Reads a `Packages` file into a table. Packages of other architectures than this one and `all` are left out.
///
/// # Errors
/// When the file is malformed: an index that is signed and yet malformed is not to be used in part.
pub fn read_packages(packages: impl Read, architecture: &str) -> Result<String, TableError> {
    let mut table = String::new();
    let mut reader = Reader::new(packages);
    while let Some(paragraph) = reader.next_paragraph()? {
        append(&mut table, &paragraph, architecture)?;
    }
    Ok(table)
}

fn append(table: &mut String, paragraph: &Paragraph<'_>, architecture: &str) -> Result<(), TableError> {
    let line = paragraph.line();
    let mut columns = [""; COLUMNS];
    for (field, value) in paragraph.fields() {
        let column = match field {
            "Package" => Column::Name,
            "Version" => Column::Version,
            "Architecture" => Column::Architecture,
            "Source" => Column::Source,
            "Multi-Arch" => Column::MultiArch,
            "Essential" => Column::Essential,
            "Priority" => Column::Priority,
            "Pre-Depends" => Column::PreDepends,
            "Depends" => Column::Depends,
            "Provides" => Column::Provides,
            "Conflicts" => Column::Conflicts,
            "Breaks" => Column::Breaks,
            "Installed-Size" => Column::InstalledSize,
            "Filename" => Column::Path,
            "Size" => Column::Size,
            "SHA256" => Column::Sha256,
            _ => continue,
        };
        columns[column as usize] = value;
    }
    if ![architecture, "all"].contains(&columns[Column::Architecture as usize])
        && !columns[Column::Architecture as usize].is_empty()
    {
        return Ok(());
    }
    // The source is named only where its name or version differs.
    let source = columns[Column::Source as usize];
    let (source, source_version) = memchr::memchr(b'(', source.as_bytes()).map_or((source, ""), |place| {
        let version = &source[place + 1..];
        (source[..place].trim_ascii_end(), version.strip_suffix(')').unwrap_or(version))
    });
    let or = |value, other| if str::is_empty(value) { other } else { value };
    columns[Column::Source as usize] = or(source, columns[Column::Name as usize]);
    columns[Column::SourceVersion as usize] = or(source_version, columns[Column::Version as usize]);
    check(&columns, line)?;
    push_row(table, &columns);
    Ok(())
}

/// Checks what later steps rely on; relations are checked when the solver comes to them.
fn check(columns: &[&str; COLUMNS], line: usize) -> Result<(), TableError> {
    for (column, field) in [
        (Column::Name, "Package"),
        (Column::Version, "Version"),
        (Column::Architecture, "Architecture"),
        (Column::Path, "Filename"),
        (Column::Size, "Size"),
        (Column::Sha256, "SHA256"),
    ] {
        if columns[column as usize].is_empty() {
            return Err(TableError::Missing { line, field });
        }
    }
    let package = columns[Column::Name as usize];
    let wrong = |column: Column, field, expected| TableError::Field {
        package: package.chars().take(100).collect(),
        line,
        field,
        text: columns[column as usize].chars().take(100).collect(),
        expected,
    };
    for (column, field) in [(Column::Name, "Package"), (Column::Source, "Source")] {
        if !is_package_name(columns[column as usize]) {
            return Err(wrong(column, field, "a package name"));
        }
    }
    for column in [Column::Version, Column::SourceVersion] {
        let version = columns[column as usize].parse::<DebVersion>();
        version.map_err(|source| TableError::Version { package: package.to_owned(), line, source })?;
    }
    if columns[Column::Size as usize].parse::<u64>().is_err() {
        return Err(wrong(Column::Size, "Size", "a number of bytes"));
    }
    let sha256 = columns[Column::Sha256 as usize];
    if sha256.starts_with("sha256:") || sha256.parse::<Digest>().is_err() {
        return Err(wrong(Column::Sha256, "SHA256", "a SHA-256 digest"));
    }
    let path = columns[Column::Path as usize];
    if path.contains("://") || path.starts_with('/') || path.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Err(wrong(Column::Path, "Filename", "a path below the repository"));
    }
    match TreePath::new(path) {
        Ok(_) => Ok(()),
        Err(source) => Err(TableError::Path { package: package.to_owned(), line, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "Package: a\nSource: s (2-1)\nVersion: 2-1+b1\nArchitecture: amd64\nDepends: b,\n c\n\
        Description: something\nMulti-Arch: same\nFilename: pool/a.deb\nSize: 10\n\
        SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

    #[test]
    fn columns_of_a_package() {
        let table = read_packages(PACKAGE.as_bytes(), "amd64").unwrap();
        assert_eq!(
            table,
            "a\t2-1+b1\tamd64\ts\t2-1\tsame\t\t\t\tb, c\t\t\t\t\t\t\t\t\t\tpool/a.deb\t10\t\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
        );
        assert_eq!(read_packages(PACKAGE.as_bytes(), "arm64").unwrap(), "");
        let without_source = PACKAGE.replace("Source: s (2-1)\n", "");
        assert!(read_packages(without_source.as_bytes(), "amd64").unwrap().contains("\ta\t2-1+b1\t"));
    }

    #[test]
    fn malformed_packages_are_named() {
        for (from, to, message) in [
            ("Package: a\n", "", "the package at line 1 has no field `Package`"),
            ("Size: 10\n", "", "the package at line 1 has no field `Size`"),
            (
                "Size: 10",
                "Size: many",
                "package `a` at line 1: field `Size`: `many` is not a number of bytes",
            ),
            ("SHA256: e3", "SHA256: x", "is not a SHA-256 digest"),
            (
                "Version: 2-1+b1",
                "Version: new",
                "package `a` at line 1: `new` is not a Debian version: the upstream version must begin with a digit",
            ),
            (
                "pool/a.deb",
                "../a.deb",
                "package `a` at line 1: path `../a.deb` has a `..` component, which could leave the root",
            ),
            ("pool/a.deb", "/a.deb", "is not a path below the repository"),
            ("Package: a", "Package: a b", "field `Package`: `a b` is not a package name"),
        ] {
            let error = read_packages(PACKAGE.replace(from, to).as_bytes(), "amd64").unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
