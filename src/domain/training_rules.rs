//! What of a training run's settings does not fit together. The command line and the Train screen say the same.

use super::{HeadInput, HeadKind, Pooling, Projection, Selection, TrainSettings};

/// Widths that every head can be cut into: the xLSTM has four heads, the Transformer two.
const WIDTH_STEP: usize = 4;

/// Widest head; a wider one would have more weights than any of the datasets has tokens.
const WIDEST: usize = 4096;

impl TrainSettings {
    /// What does not fit together, each with what to do; empty where all does.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |is_wrong: bool, words: &str| {
            if is_wrong {
                faults.push(words.to_owned());
            }
        };
        let head = &self.head;
        let is_recurrent = matches!(head.kind, HeadKind::Lstm | HeadKind::Gru);
        fault(
            head.dim == 0 || !head.dim.is_multiple_of(WIDTH_STEP) || head.dim > WIDEST,
            &format!("The width must be a multiple of {WIDTH_STEP} up to {WIDEST}"),
        );
        fault(
            head.input == HeadInput::Hidden && head.projection == Projection::Full,
            "There is no full projection where hidden states are read: read logits, or take the folded one",
        );
        fault(
            head.published_quirks && matches!(head.kind, HeadKind::Xlstm | HeadKind::Mlp),
            "The published xLSTM and MLP have no slips to rebuild: leave the published quirks off",
        );
        fault(
            head.published_quirks && is_recurrent && head.pooling != Pooling::FirstLast,
            "The published LSTM and GRU always pool first and last: choose that pooling, or leave the published quirks off",
        );
        fault(
            self.loss.is_of_pairs() && self.batch_size < 2,
            "This loss orders the pairs of a batch: take at least 2 images a step",
        );
        fault(
            !self.learning_rate.is_finite() || self.learning_rate <= 0.0,
            "The learning rate must be above 0",
        );
        fault(
            self.max_norm
                .is_some_and(|norm| norm.is_nan() || norm <= 0.0),
            "The largest gradient norm must be above 0; leave it out for no limit",
        );
        fault(
            self.fold.is_some() && self.selects_on_test(),
            "Each part of a cross-validation chooses its own best epoch: choose it on the validation part",
        );
        fault(
            self.fold.is_some_and(|fold| fold.of < 2),
            "A cross-validation has at least 2 parts",
        );
        fault(
            self.patience == Some(0),
            "A run that waits for no epoch never learns: take a patience of at least 1",
        );
        faults
    }

    /// Whether figures on the test list are too good, since it chose the epoch.
    pub const fn selects_on_test(&self) -> bool {
        matches!(self.selection, Selection::TestList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::Loss;

    #[test]
    fn the_usual_and_the_published_settings_fit_together() {
        for aspect in Aspect::ALL {
            assert_eq!(TrainSettings::new(aspect).faults(), Vec::<String>::new());
            let published = TrainSettings::published(aspect);
            assert_eq!(published.faults(), Vec::<String>::new());
            assert!(published.selects_on_test());
        }
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let usual = TrainSettings::new(Aspect::Quality);
        let says = |change: &dyn Fn(&mut TrainSettings), word: &str| {
            let mut settings = usual.clone();
            change(&mut settings);
            let faults = settings.faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
        };
        says(&|s| s.head.dim = 102, "multiple of 4");
        says(&|s| s.head.projection = Projection::Full, "hidden states");
        says(&|s| s.head.published_quirks = true, "no slips");
        says(
            &|s| {
                s.head.kind = HeadKind::Gru;
                s.head.published_quirks = true;
            },
            "first and last",
        );
        says(
            &|s| {
                s.loss = Loss::RankNet;
                s.batch_size = 1;
            },
            "at least 2",
        );
        says(&|s| s.learning_rate = 0.0, "above 0");
        says(&|s| s.max_norm = Some(0.0), "above 0");
        says(&|s| s.patience = Some(0), "at least 1");
    }
}
