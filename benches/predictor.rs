//! What the user waits for when scoring and training: one score from cached features, one epoch.

use assay::domain::Aspect;
use assay::domain::Features;
use assay::domain::TrainSettings;
use assay::ml::MlError;
use assay::ml::Predictor;
use assay::ml::predictor::PredictorConfig;
use assay::ml::train::Example;
use assay::ml::train::TrainData;
use assay::ml::train::fit;
use assay::ml::train::initial_weights;
use assay::stats::SplitMix64;

/// Width of the embedded model's hidden states.
const HIDDEN: usize = 192;

fn main() {
    divan::main();
}

fn features(num_tokens: usize, random: &mut SplitMix64) -> Features {
    let values = (0..num_tokens * HIDDEN)
        .map(|_| half::f16::from_f32(random.below(2000) as f32 / 1000.0 - 1.0))
        .collect();
    Features {
        num_tokens,
        hidden: HIDDEN,
        values,
    }
}

#[divan::bench(args = [160, 512])]
fn score_one_picture(bencher: divan::Bencher<'_, '_>, num_tokens: usize) {
    let config = PredictorConfig::new(HIDDEN, 96, 512);
    let weights = initial_weights(&config.parameters(2.5, 1.0), 1);
    let predictor = Predictor::new(config, weights);
    let features = features(num_tokens, &mut SplitMix64::new(1));
    bencher.bench(|| match &predictor {
        Ok(predictor) => predictor.score(&features),
        Err(error) => Err(MlError::Weights(error.to_string())),
    });
}

/// Sequences as long as the conversations of the embedded model; AGIQA-3K has 37 times as many for training.
#[divan::bench(args = [64], sample_count = 5)]
fn training_epoch(bencher: divan::Bencher<'_, '_>, count: usize) {
    let mut random = SplitMix64::new(1);
    let mut example = || Example {
        features: features(160 - random.below(40) as usize, &mut random),
        mos: random.below(50) as f64 / 10.0,
    };
    let data = TrainData {
        train: (0..count).map(|_| example()).collect(),
        val: Vec::new(),
    };
    let settings = TrainSettings {
        epochs: 1,
        ..TrainSettings::new(Aspect::Quality)
    };
    bencher.bench(|| fit(&data, &settings, None, &mut |_| Ok(())));
}
