//! The part of the training images that chooses the best epoch.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Marks about `fraction` of the rows for validation. Rows of one prompt stay together (case and outer blanks ignored),
/// since a prompt on both sides would let the predictor recognise it instead of judging the picture.
pub fn cut_validation(prompts: &[&str], fraction: f64, seed: u64) -> Vec<bool> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, prompt) in prompts.iter().enumerate() {
        let key = prompt.trim().to_lowercase();
        groups.entry(key).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
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
}
