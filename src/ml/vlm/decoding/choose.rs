//! From logits to tokens: repetition rules, the likeliest, and drawing.
//!
//! The rules and their order are those of transformers' logits processors, which published models were tuned under.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::settings::{GenerateSettings, Sampling};
use crate::ml::MlError;

/// Bends logits (or log-probabilities) by the repetition rules. Only `generated` tokens count, never the prompt's.
pub(super) fn restrain(values: &mut [f32], generated: &[u32], settings: &GenerateSettings) {
    let penalty = settings.repetition_penalty;
    if (penalty - 1.0).abs() > f32::EPSILON {
        let mut seen = generated.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            let value = &mut values[id as usize];
            *value = match *value > 0.0 {
                true => *value / penalty,
                false => *value * penalty,
            };
        }
    }
    let n = settings.no_repeat_ngram;
    if n > 1 && generated.len() >= n {
        let tail = &generated[generated.len() + 1 - n..];
        let runs = generated.windows(n).filter(|run| run.starts_with(tail));
        for run in runs {
            values[run[n - 1] as usize] = f32::NEG_INFINITY;
        }
    }
}

/// The `count` largest values with their places, largest first; of equal ones the first.
pub(super) fn largest(values: impl Iterator<Item = f32>, count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    for (place, value) in values.enumerate() {
        if best.len() == count && best.last().is_some_and(|(_, least)| value <= *least) {
            continue;
        }
        let at = best.partition_point(|(_, other)| *other >= value);
        best.insert(at, (place, value));
        best.truncate(count);
    }
    best
}

/// The place of the largest value.
///
/// # Errors
/// Values that are not numbers: a model that overflowed its dtype.
pub(super) fn likeliest(values: &[f32]) -> Result<u32, MlError> {
    match largest(values.iter().copied(), 1)[..] {
        [(place, value)] if value.is_finite() => Ok(place as u32),
        _ => Err(no_numbers()),
    }
}

/// Logarithms of the softmax, in place.
pub(super) fn log_softmax(values: &mut [f32]) -> Result<(), MlError> {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = values.iter().map(|value| (value - most).exp()).sum();
    let shift = most + total.ln();
    if !shift.is_finite() {
        return Err(no_numbers());
    }
    for value in values {
        *value -= shift;
    }
    Ok(())
}

/// Tokens with the probabilities by which they are drawn, likeliest first.
///
/// # Errors
/// Values that are not numbers.
pub(super) fn distribution(
    logits: &[f32],
    sampling: &Sampling,
) -> Result<Vec<(u32, f32)>, MlError> {
    // 1. Temperature, then the k likeliest
    let count = match sampling.top_k {
        0 => logits.len(),
        k => k.min(logits.len()),
    };
    let scaled = logits.iter().map(|logit| logit / sampling.temperature);
    let kept: Vec<(usize, f32)> = if count == logits.len() {
        let mut all: Vec<(usize, f32)> = scaled.enumerate().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    } else {
        largest(scaled, count)
    };
    let most = match kept.first() {
        Some((_, most)) if most.is_finite() => *most,
        _ => return Err(no_numbers()),
    };
    let weights: Vec<f32> = kept.iter().map(|(_, logit)| (logit - most).exp()).collect();
    let total: f32 = weights.iter().sum();
    // 2. As few of them as have top_p together: those whose tail weighs 1 - top_p or less are dropped
    let mut tail = 0.0;
    let dropped = weights.iter().rev().take_while(|weight| {
        tail += **weight / total;
        tail <= 1.0 - sampling.top_p
    });
    let left = (weights.len() - dropped.count()).max(1);
    let total: f32 = weights[..left].iter().sum();
    let places = kept.iter().zip(&weights).take(left);
    Ok(places
        .map(|((place, _), weight)| (*place as u32, weight / total))
        .collect())
}

/// Draws a token.
pub(super) fn draw(distribution: &[(u32, f32)], random: &mut ChaCha8Rng) -> u32 {
    let mut left: f32 = random.random();
    for (id, probability) in distribution {
        left -= probability;
        if left < 0.0 {
            return *id;
        }
    }
    // Rounding may leave a crumb behind the last one.
    distribution.last().map_or(0, |(id, _)| *id)
}

fn no_numbers() -> MlError {
    let why = "the model's logits are no numbers: its weights are damaged, or too large for this precision (try --dtype \
               bf16 or f32)";
    MlError::Input(why.to_owned())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn no_run_of_tokens_is_generated_twice() -> Result<(), MlError> {
        let settings = GenerateSettings {
            no_repeat_ngram: 2,
            ..GenerateSettings::default()
        };
        let mut logits = [0.0, 5.0, 1.0];
        restrain(&mut logits, &[2, 1, 0, 2], &settings);
        assert_eq!(likeliest(&logits)?, 2);
        Ok(())
    }

    #[test]
    fn the_largest_come_in_order_and_of_equals_the_first() {
        let values = [1.0, 3.0, 2.0, 3.0, -1.0];
        assert_eq!(
            largest(values.into_iter(), 3),
            [(1, 3.0), (3, 3.0), (2, 2.0)]
        );
    }

    /// `tests/fixtures/minicpm/make.py` ran transformers' processors with the published settings.
    #[test]
    fn the_published_settings_draw_from_transformers_distribution() -> Result<(), MlError> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/minicpm/reference.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let numbers = |key: &str| -> Vec<f32> {
            serde_json::from_value(facts["sampling"][key].clone()).unwrap()
        };
        let settings = GenerateSettings {
            repetition_penalty: 1.05,
            sampling: Some(Sampling::default()),
            ..GenerateSettings::default()
        };
        let before: Vec<u32> = numbers("before").iter().map(|id| *id as u32).collect();
        let mut logits = numbers("logits");
        restrain(&mut logits, &before, &settings);
        let mut found = vec![0.0; logits.len()];
        for (id, probability) in distribution(&logits, &Sampling::default())? {
            found[id as usize] = probability;
        }
        for (found, wanted) in found.iter().zip(numbers("probabilities")) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        Ok(())
    }

    #[test]
    fn draws_follow_the_distribution_and_the_seed() -> Result<(), MlError> {
        let sampling = Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 3,
        };
        let logits = [0.0, 1.0, 2.0, f32::NEG_INFINITY];
        let wanted = distribution(&logits, &sampling)?;
        let count = 40_000;
        let draws = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..count)
                .map(|_| draw(&wanted, &mut random))
                .collect::<Vec<u32>>()
        };
        let drawn = draws(sampling.seed);
        assert_eq!(drawn, draws(sampling.seed));
        for (id, probability) in &wanted {
            let share = drawn.iter().filter(|other| *other == id).count() as f32 / count as f32;
            // Four standard deviations
            let allowed = 4.0 * (probability * (1.0 - probability) / count as f32).sqrt();
            assert!(
                (share - probability).abs() <= allowed,
                "{id}: {share} {probability}"
            );
        }
        Ok(())
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        assert!(likeliest(&[f32::NAN, f32::NAN]).is_err());
        assert!(log_softmax(&mut [f32::INFINITY, 1.0]).is_err());
        assert!(distribution(&[f32::NAN], &Sampling::default()).is_err());
    }
}
