//! Simulated people. The formula stands in the documentation of the room's front page.

use crate::domain::Aspect;
use crate::domain::AspectMap;

use super::defects::Planted;
use super::dice::Dice;

/// People on the panel; each has a bias of their own.
const PANEL: usize = 30;

/// People who rate each picture.
pub(super) const RATINGS: usize = 20;

/// Deviation of a person's bias.
const BIAS: f32 = 0.3;

/// Deviation of a single rating.
const SCATTER: f32 = 0.45;

/// What the panel says of one picture under one aspect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Opinion {
    /// Mean of the ratings.
    pub(super) mos: f64,
    /// Their standard deviation.
    pub(super) std: f64,
}

/// A panel of raters.
pub(super) struct Panel {
    bias: Vec<f64>,
}

impl Panel {
    /// The panel of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, u64::MAX);
        Self {
            bias: (0..PANEL)
                .map(|_| f64::from(dice.normal() * BIAS))
                .collect(),
        }
    }

    /// Ratings of a picture with the given true score: twenty people of the panel, to a tenth of a point.
    pub(super) fn rate(&self, truth: f64, dice: &mut Dice) -> Opinion {
        let mut people: Vec<usize> = (0..PANEL).collect();
        dice.shuffle(&mut people);
        let ratings: Vec<f64> = people[..RATINGS]
            .iter()
            .map(|person| {
                let felt = truth + self.bias[*person] + f64::from(dice.normal() * SCATTER);
                (felt.clamp(0.0, 5.0) * 10.0).round() / 10.0
            })
            .collect();
        let n = RATINGS as f64;
        let mos = ratings.iter().sum::<f64>() / n;
        let spread = ratings.iter().map(|r| (r - mos) * (r - mos)).sum::<f64>();
        Opinion {
            mos,
            std: (spread / (n - 1.0)).sqrt(),
        }
    }
}

/// The true score of each aspect, 0 to 5.
pub(super) fn true_scores(planted: &[Planted], dice: &mut Dice) -> AspectMap<f64> {
    let cost = |aspect: Aspect| -> f64 {
        planted
            .iter()
            .filter(|p| p.defect.aspect() == aspect)
            .map(|p| p.cost())
            .sum()
    };
    let (quality, match_, looks) = (
        cost(Aspect::Quality),
        cost(Aspect::Correspondence),
        cost(Aspect::Authenticity),
    );
    AspectMap::from_fn(|aspect| {
        let taste = f64::from(dice.normal() * 0.12);
        let lost = match aspect {
            Aspect::Quality => quality + 0.10 * looks,
            Aspect::Correspondence => match_ + 0.10 * quality,
            Aspect::Authenticity => looks + 0.20 * quality,
        };
        (4.7 + taste - lost).clamp(0.0, 5.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_lie_on_the_scale_and_around_the_truth() {
        let panel = Panel::new(3);
        let mut dice = Dice::new(3, 1);
        for i in 0..=50 {
            let truth = f64::from(i) * 0.1;
            let opinion = panel.rate(truth, &mut dice);
            assert!((0.0..=5.0).contains(&opinion.mos));
            assert!((opinion.mos - truth).abs() < 0.6, "{truth} {opinion:?}");
            assert!(opinion.std > 0.0 && opinion.std < 1.2);
        }
    }
}
