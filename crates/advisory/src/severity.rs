//! How bad a flaw is. The words and vectors of an advisory come in; one word, and each vector with its score, go out.
//!
//! The rule (`docs/reference/scan.md`, "Severity"): a distribution's own word wins over any score, since its developers know
//! how the package is built and used there. What is said of the package wins over what is said of the flaw at large. Of
//! several words the worst counts; of several vectors that of the newest standard, and of these the highest.

use std::fmt;

use cvss::{Cvss, v3, v4};

use crate::finding::{Score, ScoreKind};
use crate::model::{Advisory, Affected, Severity, SourceName};

/// The longest text that is read as a vector, in bytes: twice what CVSS 4.0 needs with all its metrics.
pub const LONGEST_VECTOR: usize = 512;

/// How bad a flaw is, in one word; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Nobody says.
    Unknown,
    /// It has the flaw, and that does not matter: Debian's `unimportant`, a score of 0.
    Negligible,
    /// Low.
    Low,
    /// Medium, or moderate.
    Medium,
    /// High, or important.
    High,
    /// Critical.
    Critical,
}

/// A text that is no vector of CVSS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no CVSS vector: {reason}")]
pub struct BadVector {
    /// The text, cut at 100 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Word {
    /// The word as findings have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What a feed's word means. `Unknown` for those that say nothing (`not yet assigned`, `untriaged`, updateinfo's `None`), and
    /// for those that nobody told us of.
    ///
    /// Asterisks behind a word (Debian's `low**`) do not matter.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.trim().trim_end_matches('*').trim_end().to_ascii_lowercase();
        match text.as_str() {
            "unimportant" | "negligible" => Self::Negligible,
            "low" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" => Self::High,
            // Bodhi's `urgent` is what Red Hat calls critical.
            "critical" | "urgent" => Self::Critical,
            _ => Self::Unknown,
        }
    }

    /// The word for a base score, by each standard's own scale (CVSS 3.1, section 5; 4.0, section 6). 2.0 has none: that of
    /// NVD is taken, which knows nothing above high.
    #[must_use]
    pub fn of_score(kind: ScoreKind, score: f64) -> Self {
        match (kind, score) {
            (_, score) if score < 0.05 => Self::Negligible,
            (_, score) if score < 3.95 => Self::Low,
            (_, score) if score < 6.95 => Self::Medium,
            (ScoreKind::V3 | ScoreKind::V4, score) if score >= 8.95 => Self::Critical,
            _ => Self::High,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What an advisory says of a package's flaw: the word, and each vector with its base score, the package's own first. A
/// vector that cannot be read is left out.
#[must_use]
pub fn assess(advisory: &Advisory, affected: Option<&Affected>, by: &SourceName) -> (Word, Vec<Score>) {
    assess_both(affected.map_or(&[], |affected| &affected.severities), &advisory.severities, by)
}

/// The same, out of what is said of the package itself and of all that the advisory is about.
#[must_use]
pub fn assess_both(own: &[Severity], general: &[Severity], by: &SourceName) -> (Word, Vec<Score>) {
    let mut all = scores(own, by);
    let word = [own, general].into_iter().map(worst_word).find(|word| *word != Word::Unknown);
    let of_package = worst_score(&all);
    for score in scores(general, by) {
        if !all.contains(&score) {
            all.push(score);
        }
    }
    let word = word.or(of_package).or_else(|| worst_score(&all)).unwrap_or(Word::Unknown);
    (word, all)
}

fn worst_word(severities: &[Severity]) -> Word {
    let words = severities.iter().filter_map(|severity| match severity {
        Severity::Word(text) => Some(Word::of(text)),
        Severity::Cvss(_) => None,
    });
    words.max().unwrap_or(Word::Unknown)
}

fn scores(severities: &[Severity], by: &SourceName) -> Vec<Score> {
    let vectors = severities.iter().filter_map(|severity| match severity {
        Severity::Cvss(vector) => base_score(vector).ok().map(|(kind, score)| (vector, kind, score)),
        Severity::Word(_) => None,
    });
    vectors
        .map(|(vector, kind, score)| Score { kind, score, vector: vector.clone(), by: by.0.clone() })
        .collect()
}

/// The word of the newest standard's highest score.
fn worst_score(scores: &[Score]) -> Option<Word> {
    let worst = scores.iter().max_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.score.total_cmp(&b.score)))?;
    Some(Word::of_score(worst.kind, worst.score))
}

/// The base score of a vector: what the flaw is in itself, whatever time and environment (metrics of these are read and do
/// not count). CVSS 2.0 comes bare, in parentheses or with a prefix of its own.
///
/// # Errors
/// When the text is no whole vector of CVSS 2.0, 3.0, 3.1 or 4.0.
pub fn base_score(vector: &str) -> Result<(ScoreKind, f64), BadVector> {
    let bad = |reason: String| BadVector { text: vector.chars().take(100).collect(), reason };
    let text = vector.trim();
    if text.len() > LONGEST_VECTOR {
        return Err(bad(format!("it is longer than {LONGEST_VECTOR} bytes")));
    }
    let text = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(text);
    let text = text.strip_prefix("CVSS:2.0/").or_else(|| text.strip_prefix("CVSS2#")).unwrap_or(text);
    let parsed = text.parse::<Cvss>().map_err(|error| bad(error.to_string()))?;
    match parsed {
        Cvss::CvssV20(vector) => Ok((ScoreKind::V2, vector.score().value())),
        Cvss::CvssV30(vector) | Cvss::CvssV31(vector) => {
            // The library takes a metric that is missing for one without effect, and the flaw for harmless.
            if !is_whole(&vector) {
                return Err(bad("a base metric is missing".to_owned()));
            }
            Ok((ScoreKind::V3, vector.base_score().value()))
        }
        Cvss::CvssV40(_) => {
            let base = base_of_v4(text).parse::<v4::Vector>().map_err(|error| bad(error.to_string()))?;
            Ok((ScoreKind::V4, base.score().value()))
        }
        _ => Err(bad("it is of a standard that nothing is known of".to_owned())),
    }
}

const fn is_whole(vector: &v3::Vector) -> bool {
    let v3::Vector { av, ac, pr, ui, s, c, i, a, .. } = vector;
    let exploit = av.is_some() && ac.is_some() && pr.is_some() && ui.is_some();
    exploit && s.is_some() && c.is_some() && i.is_some() && a.is_some()
}

/// A vector of CVSS 4.0 without threat, environmental and supplemental metrics: the library scores all that it is given.
fn base_of_v4(vector: &str) -> String {
    const BASE: [&str; 12] = ["CVSS", "AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];
    let name = |metric: &str| metric.split(':').next().unwrap_or_default().to_ascii_uppercase();
    let base = vector.split('/').filter(|metric| BASE.contains(&name(metric).as_str()));
    base.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ecosystem, PackageRole, Status};

    fn score(vector: &str) -> f64 {
        base_score(vector).unwrap().1
    }

    /// FIRST's "CVSS v3.1: Examples" and 3.0's, the guide to 2.0 (section 3.3), and "CVSS v4.0 Examples".
    #[test]
    fn scores_are_those_of_the_published_examples() {
        for (vector, expected) in [
            ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),
            ("AV:L/AC:H/Au:N/C:C/I:C/A:C", 6.2),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
            ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8),
            ("CVSS:3.0/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 6.8),
            ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:L/I:N/A:N", 5.8),
            ("CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", 9.3),
            ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", 7.4),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H", 9.6),
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.7),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 8.3),
            ("CVSS:4.0/AV:L/AC:L/AT:N/PR:N/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", 4.6),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N", 6.9),
            ("CVSS:4.0/AV:L/AC:L/AT:N/PR:H/UI:N/VC:N/VI:N/VA:N/SC:H/SI:N/SA:N", 5.9),
            ("CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 9.3),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N", 8.7),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0),
            ("CVSS:4.0/AV:A/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:H/SI:N/SA:H", 6.4),
        ] {
            assert!((score(vector) - expected).abs() < 1e-9, "{vector}: {} is not {expected}", score(vector));
        }
    }

    #[test]
    fn time_and_environment_do_not_count() {
        let base = "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N";
        for rest in ["", "/E:U", "/CR:H/IR:L/AR:H/MAV:P", "/S:P/AU:Y/R:U/V:D/RE:M/U:Red"] {
            assert!((score(&format!("{base}{rest}")) - 8.3).abs() < 1e-9, "{rest}");
        }
        let base = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        assert!((score(&format!("{base}/E:U/RL:O/RC:U/MAV:P")) - 9.8).abs() < 1e-9);
        assert!((score("AV:N/AC:L/Au:N/C:N/I:N/A:C/E:U/RL:OF/RC:UC") - 7.8).abs() < 1e-9);
    }

    #[test]
    fn vectors_of_2_0_come_in_three_dresses() {
        for vector in [
            "(AV:N/AC:L/Au:N/C:P/I:P/A:P)",
            "CVSS:2.0/AV:N/AC:L/Au:N/C:P/I:P/A:P",
            " AV:N/AC:L/Au:N/C:P/I:P/A:P ",
        ] {
            let (kind, score) = base_score(vector).unwrap();
            assert_eq!(kind, ScoreKind::V2);
            assert!((score - 7.5).abs() < 1e-9, "{vector}");
        }
    }

    #[test]
    fn refuses_what_is_no_whole_vector() {
        for text in [
            "",
            "7.5",
            "AV:N",
            "AV:N/AC:L/Au:N/C:P/I:P",
            "CVSS:3.1",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/AV:L",
            "CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/X:Y",
            "CVSS:4.0//",
            "()",
            "ä/ö:ü",
        ] {
            assert!(base_score(text).is_err(), "{text}");
        }
        let long = format!("CVSS:3.1/{}", "AV:N/".repeat(200));
        assert!(base_score(&long).unwrap_err().reason.ends_with("512 bytes"));
    }

    #[test]
    fn words() {
        for (text, word) in [
            ("unimportant", Word::Negligible),
            ("low**", Word::Low),
            ("low", Word::Low),
            ("medium*", Word::Medium),
            ("high**", Word::High),
            ("not yet assigned", Word::Unknown),
            ("end-of-life", Word::Unknown),
            ("Critical", Word::Critical),
            ("Important", Word::High),
            ("Moderate", Word::Medium),
            ("Low", Word::Low),
            ("MODERATE", Word::Medium),
            ("negligible", Word::Negligible),
            ("untriaged", Word::Unknown),
            ("urgent", Word::Critical),
            ("None", Word::Unknown),
            ("", Word::Unknown),
        ] {
            assert_eq!(Word::of(text), word, "{text}");
        }
        assert!(
            Word::Critical > Word::High && Word::Low > Word::Negligible && Word::Negligible > Word::Unknown
        );
    }

    #[test]
    fn words_of_scores() {
        for (score, word) in [
            (0.0, Word::Negligible),
            (0.1, Word::Low),
            (3.9, Word::Low),
            (4.0, Word::Medium),
            (6.9, Word::Medium),
            (7.0, Word::High),
            (8.9, Word::High),
            (9.0, Word::Critical),
            (10.0, Word::Critical),
        ] {
            assert_eq!(Word::of_score(ScoreKind::V3, score), word, "{score}");
            assert_eq!(Word::of_score(ScoreKind::V4, score), word, "{score}");
            assert_eq!(Word::of_score(ScoreKind::V2, score), word.min(Word::High), "{score}");
        }
    }

    const V2: &str = "AV:L/AC:H/Au:N/C:C/I:C/A:C";
    const V3_LOW: &str = "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N";
    const V3_CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    const V4_HIGH: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N";

    fn severities(texts: &[&str]) -> Vec<Severity> {
        let read = |text: &&str| match text.contains('/') {
            true => Severity::Cvss((*text).to_owned()),
            false => Severity::Word((*text).to_owned()),
        };
        texts.iter().map(read).collect()
    }

    fn assessed(flaw: &[&str], package: &[&str]) -> (Word, Vec<(ScoreKind, f64)>) {
        let affected = Affected {
            ecosystem: Ecosystem::Debian(None),
            package: "zlib".to_owned(),
            role: PackageRole::Source,
            ranges: Vec::new(),
            versions: std::collections::BTreeSet::new(),
            status: Status::Affected,
            architectures: std::collections::BTreeSet::new(),
            module: None,
            severities: severities(package),
            imports: std::collections::BTreeSet::new(),
        };
        let advisory = Advisory {
            id: "CVE-2026-1".to_owned(),
            aliases: std::collections::BTreeSet::new(),
            published: None,
            modified: None,
            withdrawn: None,
            summary: String::new(),
            severities: severities(flaw),
            affected: Vec::new(),
            references: Vec::new(),
        };
        let (word, scores) = assess(&advisory, Some(&affected), &SourceName("feed".to_owned()));
        assert_eq!(assess(&advisory, None, &SourceName("feed".to_owned())).0, {
            let (words, rest) = (worst_word(&advisory.severities), scores_of(&advisory.severities));
            if words == Word::Unknown { rest } else { words }
        });
        (word, scores.into_iter().map(|score| (score.kind, score.score)).collect())
    }

    fn scores_of(severities: &[Severity]) -> Word {
        worst_score(&scores(severities, &SourceName(String::new()))).unwrap_or(Word::Unknown)
    }

    #[test]
    fn the_rule() {
        // The distribution's word wins over scores, that of the package over that of the flaw.
        assert_eq!(assessed(&[V3_CRITICAL, "Moderate"], &["unimportant"]).0, Word::Negligible);
        assert_eq!(assessed(&[V3_CRITICAL, "Moderate"], &[V4_HIGH]).0, Word::Medium);
        // A word that says nothing is none.
        assert_eq!(assessed(&[V3_CRITICAL], &["not yet assigned"]).0, Word::Critical);
        // Of several words the worst.
        assert_eq!(assessed(&["low", "high", "medium"], &[]).0, Word::High);
        // The newest standard, and of that the highest; the package's own before the flaw's.
        assert_eq!(assessed(&[V3_CRITICAL, V4_HIGH, V2], &[]).0, Word::High);
        assert_eq!(assessed(&[V3_LOW, V3_CRITICAL], &[]).0, Word::Critical);
        assert_eq!(assessed(&[V3_CRITICAL], &[V3_LOW]).0, Word::Low);
        // What cannot be read says nothing.
        assert_eq!(assessed(&["CVSS:3.1/AV:N"], &[]), (Word::Unknown, Vec::new()));
        assert_eq!(assessed(&[], &[]), (Word::Unknown, Vec::new()));
        // All scores are kept, each once, the package's own first.
        let (_, scores) = assessed(&[V2, V3_LOW], &[V3_LOW, "low"]);
        assert_eq!(scores, [(ScoreKind::V3, 3.1), (ScoreKind::V2, 6.2)]);
    }
}
