//! How much a finding should worry: a number from 0 to 100 that sorts a list. How bad the flaw is, how probable its use, and
//! whether it is in use come in. The formula is Grype's, so that its users find the numbers that they know.

use crate::finding::{Exploited, Score};
use crate::severity::Word;

/// The risk of a finding, 0 to 100, rounded to two decimals:
///
/// ```text
/// risk     = min(100, 100 × threat × harm × known)
/// threat   = 1 where CISA knows that the flaw is exploited, otherwise its EPSS probability (0 where there is none)
/// harm     = (w + s) / 2 / 10, or w / 10 where no score is above 0
///            w: critical 9.0, high 7.5, medium 5.0, low 3.0, negligible 0.5, unknown 5.0
///            s: the mean of all base scores
/// known    = 1.1 where ransomware is known to use it, 1.05 where CISA knows that it is exploited, otherwise 1
/// ```
///
/// A risk of 0 does not say that there is none: most often nobody has estimated it.
#[must_use]
pub fn risk(word: Word, scores: &[Score], epss: Option<f64>, exploited: Option<&Exploited>) -> f64 {
    let probability = epss.filter(|probability| probability.is_finite()).map_or(0.0, |it| it.clamp(0.0, 1.0));
    let (threat, known) = match exploited {
        Some(Exploited { ransomware: true, .. }) => (1.0, 1.1),
        Some(_) => (1.0, 1.05),
        None => (probability, 1.0),
    };
    let risk = (100.0 * threat * harm(word, scores) * known).min(100.0);
    (risk * 100.0).round() / 100.0
}

/// 0 to 1.
fn harm(word: Word, scores: &[Score]) -> f64 {
    let word = match word {
        Word::Critical => 9.0,
        Word::High => 7.5,
        Word::Medium | Word::Unknown => 5.0,
        Word::Low => 3.0,
        Word::Negligible => 0.5,
    };
    match mean_score(scores) {
        Some(mean) if mean > 0.0 => f64::midpoint(word, mean) / 10.0,
        _ => word / 10.0,
    }
}

fn mean_score(scores: &[Score]) -> Option<f64> {
    let count = u32::try_from(scores.len()).ok().filter(|count| *count > 0)?;
    let sum: f64 = scores.iter().map(|score| score.score.clamp(0.0, 10.0)).sum();
    Some(sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::ScoreKind;

    fn scored(scores: &[f64]) -> Vec<Score> {
        let score = |score: &f64| Score {
            kind: ScoreKind::V3,
            score: *score,
            vector: String::new(),
            by: String::new(),
        };
        scores.iter().map(score).collect()
    }

    #[track_caller]
    fn is(risk: f64, expected: f64) {
        assert!((risk - expected).abs() < 1e-9, "{risk} is not {expected}");
    }

    #[test]
    fn by_hand() {
        let listed = |ransomware| Some(Exploited { since: None, ransomware });
        // (9.0 + 9.8) / 2 / 10 × 0.5
        is(risk(Word::Critical, &scored(&[9.8]), Some(0.5), None), 47.0);
        // (7.5 + (8.0 + 6.0) / 2) / 2 / 10 × 0.1
        is(risk(Word::High, &scored(&[8.0, 6.0]), Some(0.1), None), 7.25);
        // Without a score, the word alone; a score of 0 is none.
        is(risk(Word::Medium, &[], Some(0.02), None), 1.0);
        is(risk(Word::Negligible, &scored(&[0.0]), Some(1.0), None), 5.0);
        is(risk(Word::Unknown, &[], Some(1.0), None), 50.0);
        // In use: EPSS does not matter any more.
        is(risk(Word::Low, &[], Some(0.01), listed(false).as_ref()), 31.5);
        is(risk(Word::Low, &[], None, listed(true).as_ref()), 33.0);
        is(risk(Word::Critical, &scored(&[10.0]), None, listed(true).as_ref()), 100.0);
        // Nobody has estimated it.
        is(risk(Word::Critical, &scored(&[9.8]), None, None), 0.0);
        is(risk(Word::Low, &[], Some(0.000_43), None), 0.01);
    }

    #[test]
    fn nonsense_stays_in_bounds() {
        for probability in [f64::NAN, f64::INFINITY, -1.0, 7.0] {
            for score in [f64::NAN, -5.0, 1e300] {
                let risk = risk(Word::Critical, &scored(&[score]), Some(probability), None);
                assert!((0.0..=100.0).contains(&risk), "{risk}");
            }
        }
    }
}
