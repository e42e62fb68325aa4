//! What must hold for any size of the model: causality, cached equals uncached, batch equals singles, the fused form
//! equals the differentiable one, and gradients equal finite differences.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};

use super::config::{Config, PositionIds, VisionConfig};
use super::model::MiniCpmV;
use crate::compute::check::central_difference;
use crate::ml::pretrain::pupil;
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::llama::LlmConfig;
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::weights::Weights;

fn tiny() -> Config {
    Config {
        llm: LlmConfig {
            hidden_size: 32,
            intermediate_size: 48,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 40,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            qkv_bias: false,
        },
        vision_config: VisionConfig {
            hidden_size: 24,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            patch_size: 4,
            position_grid: 8,
            layer_norm_eps: 1e-6,
            stem: None,
            position_ids: PositionIds::Published,
        },
        query_num: 5,
        resampler_heads: 2,
        scale_resolution: 16,
        max_slice_nums: 2,
        max_len: 64,
    }
}

fn weights() -> Result<HashMap<String, Tensor>> {
    Ok(pupil::Weights::fresh(&tiny(), &HashMap::new(), &[], 7)?.tensors())
}

fn model(mode: Mode, weights: &HashMap<String, Tensor>) -> Result<MiniCpmV> {
    MiniCpmV::new(&tiny(), mode, &Weights::from_tensors(weights.clone()))
}

fn values(count: usize, salt: f32) -> Vec<f32> {
    (0..count)
        .map(|i| ((i as f32 * 0.73 + salt) * 1.9).sin())
        .collect()
}

fn embeds(tokens: usize, salt: f32) -> Result<Tensor> {
    Tensor::from_vec(values(tokens * 32, salt), (1, tokens, 32), &Device::Cpu)
}

fn worst(a: &Tensor, b: &Tensor) -> Result<f32> {
    (a - b)?.abs()?.max_all()?.to_scalar::<f32>()
}

#[test]
fn changing_a_later_token_leaves_earlier_states_alone() -> Result<()> {
    let model = model(Mode::Inference, &weights()?)?;
    let first = embeds(9, 0.1)?;
    let changed = Tensor::cat(&[&first.narrow(1, 0, 6)?, &embeds(3, 5.0)?], 1)?;
    let (a, b) = (
        model.llm().forward_whole(&first)?,
        model.llm().forward_whole(&changed)?,
    );
    assert!(worst(&a.narrow(1, 0, 6)?, &b.narrow(1, 0, 6)?)? < 1e-6);
    assert!(worst(&a.narrow(1, 6, 3)?, &b.narrow(1, 6, 3)?)? > 1e-3);
    Ok(())
}

#[test]
fn cached_decoding_equals_the_whole_pass() -> Result<()> {
    let model = model(Mode::Inference, &weights()?)?;
    let all = embeds(11, 0.4)?;
    let whole = model.llm().forward_whole(&all)?;
    let mut cache = KvCache::default();
    let mut parts = Vec::new();
    for (start, len) in [(0, 4), (4, 1), (5, 1), (6, 3), (9, 2)] {
        parts.push(
            model
                .llm()
                .forward(&all.narrow(1, start, len)?, &mut cache)?,
        );
    }
    assert_eq!(cache.len(), 11);
    assert!(worst(&Tensor::cat(&parts, 1)?, &whole)? < 1e-5);
    Ok(())
}

#[test]
fn a_batch_of_pictures_equals_single_pictures() -> Result<()> {
    let model = model(Mode::Inference, &weights()?)?;
    let one = |salt| Tensor::from_vec(values(12 * 48, salt), (1, 12, 48), &Device::Cpu);
    let (a, b) = (one(0.2)?, one(3.0)?);
    let both = model.image_tokens(&Tensor::cat(&[&a, &b], 0)?, [3, 4])?;
    assert_eq!(both.dims(), [2, 5, 32]);
    assert!(worst(&both.narrow(0, 0, 1)?, &model.image_tokens(&a, [3, 4])?)? < 1e-5);
    assert!(worst(&both.narrow(0, 1, 1)?, &model.image_tokens(&b, [3, 4])?)? < 1e-5);
    Ok(())
}

/// Image tokens in front of text, through the whole model, to one number.
fn loss(model: &MiniCpmV) -> Result<Tensor> {
    let patches = Tensor::from_vec(values(12 * 48, 0.2), (1, 12, 48), &Device::Cpu)?;
    let images = model.image_tokens(&patches, [3, 4])?;
    let text = model
        .llm()
        .embed(&Tensor::new(&[3u32, 17, 5, 9], &Device::Cpu)?)?
        .unsqueeze(0)?;
    let states = model
        .llm()
        .forward_whole(&Tensor::cat(&[&images, &text], 1)?)?;
    let logits = model.llm().logits(&states)?.squeeze(0)?.narrow(0, 4, 4)?;
    candle_nn::loss::cross_entropy(&logits, &Tensor::new(&[17u32, 5, 9, 1], &Device::Cpu)?)
}

#[test]
fn fused_and_differentiable_forms_agree() -> Result<()> {
    let weights = weights()?;
    let (fused, plain) = (
        model(Mode::Inference, &weights)?,
        model(Mode::Training, &weights)?,
    );
    let all = embeds(7, 1.3)?;
    assert!(
        worst(
            &fused.llm().forward_whole(&all)?,
            &plain.llm().forward_whole(&all)?
        )? < 1e-5
    );
    let patches = Tensor::from_vec(values(12 * 48, 0.9), (1, 12, 48), &Device::Cpu)?;
    assert!(
        worst(
            &fused.image_tokens(&patches, [3, 4])?,
            &plain.image_tokens(&patches, [3, 4])?
        )? < 1e-5
    );
    Ok(())
}

#[test]
fn every_weight_has_the_gradient_of_finite_differences() -> Result<()> {
    // Larger weights than fresh ones, so that differences stand out of f32's noise.
    let vars: HashMap<String, Var> = weights()?
        .into_iter()
        .map(|(name, tensor)| {
            Ok((
                name.clone(),
                Var::from_tensor(&if tensor.rank() > 1 {
                    (tensor * 6.0)?
                } else {
                    tensor
                })?,
            ))
        })
        .collect::<Result<_>>()?;
    let tensors = |vars: &HashMap<String, Var>| -> HashMap<String, Tensor> {
        vars.iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect()
    };
    let grads = loss(&model(Mode::Training, &tensors(&vars))?)?.backward()?;
    let mut names: Vec<&String> = vars.keys().collect();
    names.sort();
    let mut checked = 0;
    for name in names {
        let var = &vars[name];
        let grad = grads
            .get(var)
            .unwrap_or_else(|| panic!("{name} has no gradient"))
            .flatten_all()?
            .to_vec1::<f32>()?;
        // The steepest weight of each tensor tells most.
        let probe = (0..grad.len())
            .max_by(|a, b| grad[*a].abs().total_cmp(&grad[*b].abs()))
            .unwrap_or(0);
        let numeric = central_difference(var, probe, 4e-3, |moved| {
            let mut all = tensors(&vars);
            all.insert(name.clone(), moved.clone());
            loss(&model(Mode::Training, &all)?)
        })?;
        let analytic = f64::from(grad[probe]);
        assert!(
            (numeric - analytic).abs() < 2e-3 + 0.03 * analytic.abs(),
            "{name}: {numeric} against {analytic}"
        );
        checked += 1;
    }
    assert!(checked > 40, "{checked} tensors");
    Ok(())
}
