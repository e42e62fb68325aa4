//! How the learning rate moves over a fine-tuning.

use crate::domain::TuneSettings;

/// The rate of the step after `done` of `total` steps: it rises in a line from 0 over the warm-up, then falls as half a
/// cosine to 0.
///
/// **Source** transformers 5.23, `optimization.py`, `get_cosine_schedule_with_warmup`; the number of warm-up steps is
/// rounded up as its trainer does.
pub fn learning_rate(settings: &TuneSettings, done: u64, total: u64) -> f64 {
    let (done, total) = (done as f64, total as f64);
    let warmup = (total * settings.warmup).ceil();
    let factor = if done < warmup {
        done / warmup.max(1.0)
    } else {
        let along = (done - warmup) / (total - warmup).max(1.0);
        f64::midpoint(1.0, (std::f64::consts::PI * along).cos()).max(0.0)
    };
    settings.learning_rate * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::TunePreset;

    #[test]
    fn the_rate_is_that_of_transformers() {
        let mut settings = TuneSettings::new("a", TunePreset::Light, vec![Aspect::Quality]);
        (settings.learning_rate, settings.warmup) = (1.0, 0.1);
        let at = |done| learning_rate(&settings, done, 50);
        // Made by get_cosine_schedule_with_warmup with 5 of 50 steps of warm-up.
        for (done, expected) in [
            (0, 0.0),
            (1, 0.2),
            (4, 0.8),
            (5, 1.0),
            (20, 0.75),
            (49, 0.001_217_974_870_087_901_2),
            (50, 0.0),
        ] {
            assert!((at(done) - expected).abs() < 1e-12, "{done}: {}", at(done));
        }
    }
}
