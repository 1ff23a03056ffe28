//! `catalog/vex/<package or family>.yaml` → statements: what people have looked into, each with a reason, a date and what shows
//! it. The form is described in `docs/reference/vex.md`.

use std::collections::BTreeSet;

use calypte_base::Epoch;
use calypte_definition::yaml::{self, Span, Spanned};
use calypte_definition::{Diagnostic, Source};
use serde::Deserialize;

use super::apply::globs;
use super::model::{ImageId, Justification, Origin, Product, Statement, Status, Whole};
use super::purl::Purl;

/// Directories whose contents lie elsewhere: a path below them names no file of an image.
const MOVED: &[&str] = &["/bin/", "/sbin/", "/lib/", "/lib64/"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    statements: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    flaw: Spanned<String>,
    #[serde(default)]
    aliases: BTreeSet<String>,
    products: Vec<Spanned<Target>>,
    status: Spanned<Status>,
    justification: Option<Spanned<Justification>>,
    reason: Spanned<String>,
    action: Option<Spanned<String>>,
    evidence: Spanned<String>,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    date: Spanned<String>,
    updated: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    package: Option<Spanned<String>>,
    #[serde(default)]
    images: Vec<Spanned<String>>,
}

/// Reads one file, whose name is for errors and is where its statements come from.
///
/// # Errors
/// Every mistake in it, each with its place; at the first one where it is not even the form.
pub fn read(file: &str, text: &str) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let Written { statements } = yaml::from_str(file, text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader { source: Source::new(file, text), mistakes: Vec::new() };
    let statements: Vec<Statement> =
        statements.into_iter().map(|entry| reader.statement(entry.value, entry.span)).collect();
    if reader.mistakes.is_empty() { Ok(statements) } else { Err(reader.mistakes) }
}

/// Collects mistakes, so that all are told at once.
struct Reader {
    source: Source,
    mistakes: Vec<Diagnostic>,
}

impl Reader {
    fn mistake(&mut self, span: Span, message: impl Into<String>, hint: &str) {
        self.mistakes.push(self.source.diagnostic(span, message).with_hint(hint));
    }

    fn statement(&mut self, entry: Entry, span: Span) -> Statement {
        self.check_words(&entry);
        let status = entry.status.value;
        let issued = self.time(&entry.date);
        let updated = entry.updated.as_ref().map_or(issued, |written| self.time(written));
        if updated < issued {
            self.mistake(entry.date.span, "`updated` is before `date`", "`date` is when it was first said");
        }
        let reason = entry.reason.value.trim().to_owned();
        let (impact, notes) =
            if status == Status::NotAffected { (Some(reason), None) } else { (None, Some(reason)) };
        let mut products = BTreeSet::new();
        for target in &entry.products {
            products.extend(self.products(&target.value, target.span));
        }
        if entry.products.is_empty() {
            self.mistake(
                span,
                "`products` is empty",
                "name what it is about: `- package: pkg:deb/debian/NAME`",
            );
        }
        Statement {
            flaw: entry.flaw.value,
            aliases: entry.aliases,
            products,
            status,
            justification: entry.justification.map(|word| word.value),
            impact,
            action: entry.action.map(|text| text.value),
            notes,
            evidence: Some(entry.evidence.value),
            paths: self.paths(entry.paths, status),
            issued,
            updated,
            origin: Origin::Reviewed(self.source.file.clone()),
        }
    }

    fn check_words(&mut self, entry: &Entry) {
        let flaw = &entry.flaw;
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 100
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:._".contains(&byte))
        };
        if !is_name(&flaw.value) {
            let message = format!("`{}` is no name of a flaw", flaw.value);
            self.mistake(flaw.span, message, "write its number: CVE-2026-12345");
        }
        if let Some(alias) = entry.aliases.iter().find(|alias| !is_name(alias)) {
            self.mistake(flaw.span, format!("the alias `{alias}` is no name of a flaw"), "write its number");
        }
        match (entry.status.value, &entry.justification) {
            (Status::NotAffected, None) => {
                let words = Justification::ALL.map(Justification::word).join(", ");
                self.mistake(
                    entry.status.span,
                    "`not_affected` needs a `justification`",
                    &format!("say why, by one of {words}"),
                );
            }
            (status, Some(word)) if status != Status::NotAffected => {
                let message =
                    format!("a `justification` says why a product is not affected; this one is `{status}`");
                self.mistake(word.span, message, "take it out, or write `status: not_affected`");
            }
            _ => {}
        }
        if entry.status.value == Status::Affected && entry.action.is_none() {
            self.mistake(entry.status.span, "`affected` needs an `action`", "say what users are to do");
        }
        let texts = [Some(&entry.reason), Some(&entry.evidence), entry.action.as_ref()];
        for text in texts.into_iter().flatten().filter(|text| text.value.trim().is_empty()) {
            self.mistake(text.span, "this says nothing", "a statement is worth what shows it");
        }
        if !is_evidence(&entry.evidence.value) {
            let message =
                format!("`{}` is neither an address nor a file of the catalog", entry.evidence.value);
            self.mistake(entry.evidence.span, message, "write `https://…`, or a path below the catalog");
        }
    }

    fn time(&mut self, written: &Spanned<String>) -> Epoch {
        let text = &written.value;
        let is_date = text.len() == 10 && text.matches('-').count() == 2;
        let whole = if is_date { format!("{text}T00:00:00Z") } else { text.clone() };
        match whole.parse() {
            // A bare number of seconds is a time elsewhere; nobody can read it here.
            Ok(time) if text.contains('-') => time,
            _ => {
                let message = format!("`{text}` is neither a date nor an RFC 3339 time");
                self.mistake(written.span, message, "write 2026-10-30 or 2026-10-30T08:00:00Z");
                Epoch(0)
            }
        }
    }

    fn products(&mut self, target: &Target, span: Span) -> Vec<Product> {
        let package = target.package.as_ref().and_then(|written| self.purl(written));
        if let Some(written) = target.package.as_ref().filter(|written| written.value.starts_with("pkg:oci/"))
        {
            self.mistake(written.span, "an image is no package", "write it under `images`");
        }
        if target.package.is_none() && target.images.is_empty() {
            self.mistake(span, "this names nothing", "give a `package`, `images` or both");
        }
        let mut products = Vec::new();
        for written in &target.images {
            let image = if written.value.starts_with("pkg:") {
                let image = self.purl(written).as_ref().and_then(ImageId::from_purl);
                if image.is_none() {
                    let message = format!("`{}` is no package URL of an image", written.value);
                    self.mistake(
                        written.span,
                        message,
                        "write pkg:oci/NAME@sha256%3A…, or its name in the catalog",
                    );
                }
                image
            } else {
                Some(ImageId::named(written.value.clone()))
            };
            products.extend(image.map(|image| Product::image(image, package.clone())));
        }
        if target.images.is_empty() {
            products.extend(package.map(|purl| Product { whole: Whole::Package(purl), part: None }));
        }
        products
    }

    fn purl(&mut self, written: &Spanned<String>) -> Option<Purl> {
        match written.value.parse() {
            Ok(purl) => Some(purl),
            Err(error) => {
                self.mistake(written.span, error.to_string(), "write it as the bill of materials does");
                None
            }
        }
    }

    fn paths(&mut self, written: Vec<Spanned<String>>, status: Status) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for path in written {
            if status.suppresses() {
                let message = format!("`paths` say where a flaw is; this says that it is none (`{status}`)");
                self.mistake(path.span, message, "write `status: affected` or `under_investigation`");
            }
            let is_moved = MOVED.iter().any(|moved| path.value.starts_with(moved));
            let one = BTreeSet::from([path.value.clone()]);
            if !path.value.starts_with('/')
                || is_moved
                || path.value.contains("/../")
                || globs(&one).is_none()
            {
                let message = format!("`{}` is no path of a file in an image", path.value);
                self.mistake(
                    path.span,
                    message,
                    "write it from the root, with /usr where /lib or /bin lead there",
                );
            }
            paths.insert(path.value);
        }
        paths
    }
}

/// An address, or a path that does not leave the catalog.
fn is_evidence(text: &str) -> bool {
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    let is_file = !text.starts_with('/')
        && !text.contains("://")
        && !text.contains(char::is_whitespace)
        && text.split('/').all(|part| !part.is_empty() && part != "..");
    (is_address && !text.contains(char::is_whitespace)) || is_file
}

#[cfg(test)]
mod tests;
