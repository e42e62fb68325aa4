//! The predictor: hidden states of a conversation in, one mean opinion score out.
//!
//! It knows the width of the hidden states that it reads; that they come from the very model and prompt preset of its
//! card is the caller's to check, who has the hashes.

use super::MlError;
use super::heads::Dropout;
use super::network::Batch;
use super::network::Network;
use super::network::builder;
use super::state_dict::StateDict;
use crate::domain::Features;
use crate::domain::PredictorCard;

pub use super::network::PredictorConfig;

/// Key of the configuration in the metadata of the weights.
const KEY: &str = "predictor";
/// Sequences that are scored at once.
const BATCH: usize = 16;

/// A trained predictor, ready to score. It runs on the CPU: scoring one picture takes a small part of describing it.
#[derive(Debug, Clone)]
pub struct Predictor {
    config: PredictorConfig,
    network: Network,
    weights: StateDict,
}

impl Predictor {
    /// Reads weights as [`Self::to_bytes`] writes them; the card's name stands in the error.
    pub fn from_bytes(card: &PredictorCard, weights: &[u8]) -> Result<Self, MlError> {
        StateDict::from_bytes(weights, KEY)
            .and_then(|(weights, config)| Self::new(config, weights))
            .map_err(|error| MlError::Weights(format!("predictor {:?}: {error}", card.name)))
    }

    /// Puts weights to work.
    pub fn new(config: PredictorConfig, weights: StateDict) -> Result<Self, MlError> {
        if let Some(problem) = config.problem() {
            return Err(MlError::Weights(problem));
        }
        let network = Network::new(&config, &builder(weights.tensors()?))?;
        Ok(Self {
            config,
            network,
            weights,
        })
    }

    /// Weights and configuration as one safetensors file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        self.weights.to_bytes(KEY, &self.config)
    }

    /// Its dimensions.
    pub const fn config(&self) -> &PredictorConfig {
        &self.config
    }

    /// The score of one conversation, on the scale of the predictor's card.
    pub fn score(&self, features: &Features) -> Result<f64, MlError> {
        let scores = self.score_all(&[features])?;
        Ok(scores[0])
    }

    /// Scores of several conversations, in their order.
    pub fn score_all(&self, features: &[&Features]) -> Result<Vec<f64>, MlError> {
        run(&self.network, &self.config, features, || Ok(()))
    }

    /// The score of one conversation from hidden states, token by token, that were never cut to half precision.
    #[cfg(test)]
    pub(crate) fn score_single(&self, hidden: &[f32]) -> Result<f64, MlError> {
        let batch = Batch::single(hidden, self.config.hidden_in, self.config.context_length())?;
        let scores: Vec<f32> = self.network.forward(&batch, &Dropout::off())?.to_vec1()?;
        Ok(f64::from(scores[0]))
    }
}

/// Scores in batches of similar length; `alive` is asked before each batch whether to go on.
pub(crate) fn run(
    network: &Network,
    config: &PredictorConfig,
    features: &[&Features],
    mut alive: impl FnMut() -> Result<(), MlError>,
) -> Result<Vec<f64>, MlError> {
    for features in features {
        check(features, config.hidden_in)?;
    }
    let mut by_length: Vec<usize> = (0..features.len()).collect();
    by_length.sort_by_key(|&position| features[position].num_tokens);
    let mut scores = vec![0.0; features.len()];
    for positions in by_length.chunks(BATCH) {
        alive()?;
        let group: Vec<&Features> = positions.iter().map(|&at| features[at]).collect();
        let batch = Batch::new(&group, config.context_length())?;
        let values: Vec<f32> = network.forward(&batch, &Dropout::off())?.to_vec1()?;
        for (&position, &value) in positions.iter().zip(&values) {
            if !value.is_finite() {
                let why = "the predictor gave no finite score: train it again, or use another one";
                return Err(MlError::Input(why.to_owned()));
            }
            scores[position] = f64::from(value);
        }
    }
    Ok(scores)
}

/// The features fit the predictor and hold what they say.
pub(crate) fn check(features: &Features, hidden_in: usize) -> Result<(), MlError> {
    if features.hidden != hidden_in {
        return Err(MlError::WrongFeatures {
            expected: hidden_in,
            got: features.hidden,
        });
    }
    if features.num_tokens == 0 || features.values.len() != features.num_tokens * features.hidden {
        return Err(MlError::Input(format!(
            "features of {} tokens and width {} hold {} values: delete the project's cache folder and score again",
            features.num_tokens,
            features.hidden,
            features.values.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ml::train::initial_weights;
    use crate::stats::SplitMix64;

    /// Seeded features with values around 0.
    pub(crate) fn features(num_tokens: usize, hidden: usize, seed: u64) -> Features {
        let mut random = SplitMix64::new(seed);
        let values = (0..num_tokens * hidden)
            .map(|_| half::f16::from_f32(random.below(2000) as f32 / 1000.0 - 1.0))
            .collect();
        Features {
            num_tokens,
            hidden,
            values,
        }
    }

    fn predictor() -> Result<Predictor, MlError> {
        let config = PredictorConfig::new(24, 32, 64);
        let weights = initial_weights(&config.parameters(2.5, 1.0), 3);
        Predictor::new(config, weights)
    }

    #[test]
    fn padding_in_a_batch_changes_no_score() -> Result<(), MlError> {
        let predictor = predictor()?;
        let several = [features(30, 24, 1), features(7, 24, 2), features(19, 24, 3)];
        let together = predictor.score_all(&several.each_ref())?;
        for (features, together) in several.iter().zip(together) {
            assert!((predictor.score(features)? - together).abs() < 1e-5);
        }
        Ok(())
    }

    #[test]
    fn bytes_bring_the_same_predictor_back() -> Result<(), MlError> {
        let first = predictor()?;
        let (weights, config) = StateDict::from_bytes(&first.to_bytes()?, KEY)?;
        let second = Predictor::new(config, weights)?;
        let features = features(12, 24, 5);
        assert!((first.score(&features)? - second.score(&features)?).abs() < f64::EPSILON);
        assert_eq!(first.to_bytes()?, second.to_bytes()?);
        Ok(())
    }

    #[test]
    fn features_of_another_model_are_refused() -> Result<(), MlError> {
        let result = predictor()?.score(&features(12, 32, 5));
        assert!(matches!(
            result,
            Err(MlError::WrongFeatures {
                expected: 24,
                got: 32
            })
        ));
        Ok(())
    }

    #[test]
    fn a_missing_weight_is_named() {
        let config = PredictorConfig::new(24, 32, 64);
        let result = Predictor::new(config, StateDict::default());
        assert!(result.is_err_and(|e| e.to_string().contains("W.weight")));
    }
}
