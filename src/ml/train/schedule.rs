//! How the learning rate moves over a run.

use crate::domain::Schedule;
use crate::domain::TrainSettings;

/// Share of the steps over which a cosine's rate rises to its peak.
const WARM_UP: f64 = 0.05;
/// What the cosine leaves of the peak at the end.
const FLOOR: f64 = 0.05;

/// The rate of the step after `done` steps, where an epoch has `steps_an_epoch`.
pub(super) fn learning_rate(settings: &TrainSettings, done: u64, steps_an_epoch: usize) -> f64 {
    match settings.schedule {
        Schedule::Constant => settings.learning_rate,
        Schedule::Cosine => {
            let total = f64::from(settings.epochs.max(1)) * steps_an_epoch as f64;
            let done = done as f64;
            let warm_up = (total * WARM_UP).max(1.0);
            let rising = ((done + 1.0) / warm_up).min(1.0);
            let along = ((done - warm_up) / (total - warm_up).max(1.0)).clamp(0.0, 1.0);
            let cosine = f64::midpoint(1.0, (along * std::f64::consts::PI).cos());
            settings.learning_rate * rising * (FLOOR + (1.0 - FLOOR) * cosine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;

    #[test]
    fn a_cosine_rises_and_falls_and_a_constant_stays() {
        let mut settings = TrainSettings {
            epochs: 10,
            learning_rate: 1.0,
            ..TrainSettings::new(Aspect::Quality)
        };
        let at = |settings: &TrainSettings, done| learning_rate(settings, done, 100);
        assert!(at(&settings, 0) < 0.03);
        assert!((at(&settings, 50) - 1.0).abs() < 1e-9);
        assert!((at(&settings, 1000) - FLOOR).abs() < 1e-9);
        assert!(at(&settings, 500) > at(&settings, 501));
        settings.schedule = Schedule::Constant;
        for done in [0, 500, 2000] {
            assert!((at(&settings, done) - 1.0).abs() < f64::EPSILON);
        }
    }
}
