//! The part of the training images that chooses the best epoch.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::domain::Fold;

/// Marks about `fraction` of the rows for validation. Rows of one prompt stay together (case and outer blanks ignored),
/// since a prompt on both sides would let the predictor recognise it instead of judging the picture.
pub fn cut_validation(prompts: &[&str], fraction: f64, seed: u64) -> Vec<bool> {
    let groups = groups(prompts, seed);
    let wanted = (fraction.clamp(0.0, 1.0) * prompts.len() as f64).round() as usize;
    let mut marked = vec![false; prompts.len()];
    let mut taken = 0;
    // The last group always stays for training.
    let cuttable = groups.len().saturating_sub(1);
    for group in &groups[..cuttable] {
        // A group that would overshoot by more than is missing is left; a smaller one may still fit.
        let missing = wanted.saturating_sub(taken);
        if group.len() > 2 * missing {
            continue;
        }
        taken += group.len();
        for &row in group {
            marked[row] = true;
        }
    }
    marked
}

/// Marks the rows of one part of a cross-validation: the prompts are dealt out to `fold.of` parts of similar size, whole
/// prompts at a time. The parts of one seed are disjoint and hold every row.
pub fn cut_fold(prompts: &[&str], fold: Fold, seed: u64) -> Vec<bool> {
    let mut parts = vec![Vec::new(); fold.of.max(1) as usize];
    for group in groups(prompts, seed) {
        if let Some(smallest) = parts.iter_mut().min_by_key(|part| part.len()) {
            smallest.extend(group);
        }
    }
    let mut marked = vec![false; prompts.len()];
    for row in parts.get(fold.number as usize).into_iter().flatten() {
        marked[*row] = true;
    }
    marked
}

/// Rows by prompt (case and outer blanks ignored), the prompts in an order that follows from the seed.
fn groups(prompts: &[&str], seed: u64) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, prompt) in prompts.iter().enumerate() {
        let key = prompt.trim().to_lowercase();
        groups.entry(key).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_never_stands_on_both_sides() {
        let prompts: Vec<String> = (0..300).map(|row| format!("scene {}", row % 60)).collect();
        let mut texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        texts[7] = " SCENE 8 ";
        let marked = cut_validation(&texts, 0.1, 4);
        let count = marked.iter().filter(|&&m| m).count();
        assert!((25..=35).contains(&count), "{count} of 300");
        for (a, x) in texts.iter().zip(&marked) {
            for (b, y) in texts.iter().zip(&marked) {
                assert!(x == y || a.trim().to_lowercase() != b.trim().to_lowercase());
            }
        }
        assert_eq!(marked, cut_validation(&texts, 0.1, 4));
        assert_ne!(marked, cut_validation(&texts, 0.1, 5));
    }

    #[test]
    fn one_prompt_alone_stays_for_training() {
        assert_eq!(cut_validation(&["a", "a", "a"], 0.5, 1), [false; 3]);
        assert!(cut_validation(&[], 0.5, 1).is_empty());
    }

    #[test]
    fn folds_are_disjoint_and_hold_every_row_once() {
        let prompts: Vec<String> = (0..101).map(|row| format!("scene {}", row % 37)).collect();
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let mut seen = vec![0; texts.len()];
        for number in 0..5 {
            let marked = cut_fold(&texts, Fold { number, of: 5 }, 3);
            let count = marked.iter().filter(|&&m| m).count();
            assert!((17..=24).contains(&count), "{count} of 101");
            for (row, marked) in marked.iter().enumerate() {
                seen[row] += usize::from(*marked);
                assert_eq!(
                    *marked,
                    marked_of(&texts, row, number),
                    "one prompt, one part"
                );
            }
        }
        assert!(seen.iter().all(|&times| times == 1));
    }

    /// Whether the first row of the same prompt is in the part.
    fn marked_of(texts: &[&str], row: usize, number: u32) -> bool {
        let first = texts
            .iter()
            .position(|text| *text == texts[row])
            .unwrap_or(row);
        cut_fold(texts, Fold { number, of: 5 }, 3)[first]
    }
}
