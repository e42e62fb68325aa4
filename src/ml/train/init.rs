//! First values of weights from a seed.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::ml::heads::Init;
use crate::ml::heads::Parameter;
use crate::ml::state_dict::StateDict;

/// Draws every weight in the order of the list; equal seeds give equal weights.
pub fn initial_weights(parameters: &[Parameter], seed: u64) -> StateDict {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = StateDict::default();
    for parameter in parameters {
        let count = parameter.shape.iter().product();
        let values = (0..count).map(|at| draw(&parameter.init, at, &mut random) as f32);
        let values = values.collect();
        weights.insert(parameter.name.clone(), &parameter.shape, values);
    }
    weights
}

fn draw(init: &Init, at: usize, random: &mut ChaCha8Rng) -> f64 {
    match init {
        Init::Constant(value) => *value,
        Init::Values(values) => values[at % values.len()],
        Init::Uniform(bound) => random.random_range(-1.0..1.0) * bound,
        Init::Normal(deviation) => normal(random) * deviation,
        Init::LogOfUniform(low, high) => random.random_range(*low..*high).ln(),
        Init::InverseSoftplus(low, high) => {
            let value = random.random_range(low.ln()..high.ln()).exp();
            // ln(e^value - 1), without losing a small value beside the 1.
            value + (-(-value).exp_m1()).ln()
        }
    }
}

/// Box and Muller's transform; the second value is not kept, which costs nothing worth keeping it for.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::MlError;

    #[test]
    fn normal_weights_have_their_deviation() -> Result<(), MlError> {
        let list = [Parameter::new("w", &[100, 100], Init::Normal(0.3))];
        let weights = initial_weights(&list, 1);
        let (_, values) = weights.get("w")?;
        let square: f32 = values.iter().map(|v| v * v).sum();
        assert!(((square / 1e4).sqrt() - 0.3).abs() < 0.01);
        assert_eq!(weights, initial_weights(&list, 1));
        assert_ne!(weights, initial_weights(&list, 2));
        Ok(())
    }
}
