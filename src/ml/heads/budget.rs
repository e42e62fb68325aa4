//! How many weights a head has; what `HeadKind::usual_dim` is held against.

use super::HeadConfig;
use super::Parameter;

impl HeadConfig {
    /// Number of its weights, without projection and regression.
    pub fn num_weights(&self) -> usize {
        self.parameters().iter().map(Parameter::count).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::HeadKind;
    use crate::domain::HeadSettings;
    use crate::ml::heads::Parameter;
    use crate::ml::predictor::PredictorConfig;

    fn settings(kind: HeadKind, dim: usize, published_quirks: bool) -> HeadSettings {
        HeadSettings {
            dim,
            published_quirks,
            ..HeadSettings::of(kind)
        }
    }

    /// Weights of the head and of the regression at the published width.
    fn counts(kind: HeadKind, published_quirks: bool) -> (usize, usize) {
        let settings = settings(kind, 512, published_quirks);
        let config = PredictorConfig::of(&settings, 1, 512);
        let all: usize = config
            .parameters(0.0, 1.0)
            .iter()
            .map(Parameter::count)
            .sum();
        let head = config.head.num_weights();
        // A projection from one value has as many weights as biases.
        (head, all - head - 2 * 512)
    }

    #[test]
    fn published_heads_have_their_numbers_of_weights() {
        // The norm of 1,024 weights behind Transformer and Mamba2 stands in the published regressor's 132,609.
        let table = [
            (HeadKind::Xlstm, false, (6_464_536, 65_793)),
            (HeadKind::Lstm, false, (23_101_440, 262_657)),
            (HeadKind::Gru, false, (7_876_608, 262_657)),
            (
                HeadKind::Transformer,
                false,
                (18_914_304 + 1024, 132_609 - 1024),
            ),
            (HeadKind::Mamba2, false, (6_415_168 + 1024, 132_609 - 1024)),
            (HeadKind::Mamba2, true, (1_603_792 + 1024, 132_609 - 1024)),
        ];
        for (kind, quirks, expected) in table {
            assert_eq!(counts(kind, quirks), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_published_mlp_has_its_number_of_weights() {
        let settings = settings(HeadKind::Mlp, 1024, false);
        let list = PredictorConfig::of(&settings, 128_256, 512).parameters(0.0, 1.0);
        let all: usize = list.iter().map(Parameter::count).sum();
        assert_eq!(all, 131_336_193);
    }

    #[test]
    fn usual_widths_have_equal_budgets() {
        let all = |kind| -> f64 {
            let config = PredictorConfig::of(&HeadSettings::of(kind), 192, 512);
            let list = config.parameters(0.0, 1.0);
            list.iter().map(Parameter::count).sum::<usize>() as f64
        };
        let reference = all(HeadKind::Xlstm);
        for kind in HeadKind::ALL {
            let share = all(kind) / reference;
            assert!(
                (share - 1.0).abs() < 0.05,
                "{kind:?} has {share} times the weights"
            );
        }
    }
}
