//! What holds for every head and pooling.

use std::collections::HashMap;

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::bail;
use candle_nn::VarBuilder;

use super::*;
use crate::ml::layers::check;
use crate::ml::predictor::PredictorConfig;

/// A small head in double precision with random weights.
struct Small {
    config: PredictorConfig,
    vars: Vec<(String, Var)>,
    head: Head,
    regressor: Regressor,
}

impl Small {
    fn new(settings: HeadSettings) -> Result<Self> {
        let config = PredictorConfig {
            head_dim: 6,
            ..PredictorConfig::of(&settings, 3, 64)
        };
        let mut vars = Vec::new();
        let mut tensors = HashMap::new();
        for (seed, parameter) in config.parameters(0.0, 1.0).into_iter().enumerate() {
            let values = (check::random(&parameter.shape, seed as u64)? * 0.4)?;
            let var = Var::from_tensor(&values)?;
            tensors.insert(parameter.name.clone(), var.as_tensor().clone());
            vars.push((parameter.name, var));
        }
        let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        Ok(Self {
            head: Head::new(&config.head, &vb)?,
            regressor: Regressor::new(&config.head, config.head_dim, &vb)?,
            config,
            vars,
        })
    }

    fn scores(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let off = Dropout::off();
        let y = self.head.forward(x, lengths, &off)?;
        let pooled = pool(&y, lengths, self.config.pooling)?;
        self.regressor.forward(&pooled, &off)
    }
}

fn settings() -> Vec<HeadSettings> {
    let mut all = Vec::new();
    for kind in HeadKind::ALL {
        for published_quirks in [false, true] {
            for pooling in Pooling::ALL {
                all.push(HeadSettings {
                    dim: 8,
                    pooling,
                    published_quirks,
                    ..HeadSettings::of(kind)
                });
            }
        }
    }
    all
}

/// Scores and gradients of every weight and of the input, of sequences in one batch with padding and of each alone.
fn padding_leaks_nothing(settings: HeadSettings) -> Result<()> {
    const LENGTHS: [usize; 3] = [5, 1, 9];
    let small = Small::new(settings)?;
    let x = Var::from_tensor(&check::random(&[3, 9, 8], 77)?)?;
    let together = small.scores(&x, &LENGTHS)?;
    let weights = Tensor::new(&[1.0, -2.0, 0.5], &Device::Cpu)?;
    let grads = (&together * &weights)?.sum_all()?.backward()?;
    let mut alone = Vec::new();
    for (row, &length) in LENGTHS.iter().enumerate() {
        let own = x.narrow(0, row, 1)?.narrow(1, 0, length)?;
        alone.push((small.scores(&own, &[length])? * weights.get(row)?.to_scalar::<f64>()?)?);
    }
    let alone = Tensor::cat(&alone, 0)?;
    check::assert_close(&(&together * &weights)?, &alone, 1e-10)?;
    let each = alone.sum_all()?.backward()?;
    let inputs = [("input".to_owned(), x.clone())];
    for (name, var) in small.vars.iter().chain(&inputs) {
        match (grads.get(var), each.get(var)) {
            (Some(ours), Some(theirs)) => check::assert_close(ours, theirs, 1e-9)
                .map_err(|error| error.context(format!("{name} of {settings:?}")))?,
            // The projection stands before the head and is not part of this.
            (None, None) if name.starts_with("W.") => {}
            _ => bail!("{name} of {settings:?} has no gradient"),
        }
    }
    let Some(grad) = grads.get(&x) else {
        bail!("the input has no gradient")
    };
    let behind = grad.narrow(0, 1, 1)?.narrow(1, 1, 8)?.abs()?.max_all()?;
    assert_eq!(behind.to_scalar::<f64>()?.to_bits(), 0, "{settings:?}");
    Ok(())
}

#[test]
fn padding_leaks_into_no_head_and_no_pooling() -> Result<()> {
    settings().into_iter().try_for_each(padding_leaks_nothing)
}

#[test]
fn a_config_comes_back_from_its_json() -> serde_json::Result<()> {
    for settings in settings() {
        let config = PredictorConfig::of(&settings, 192, 512);
        let json = serde_json::to_string(&config)?;
        assert_eq!(serde_json::from_str::<PredictorConfig>(&json)?, config);
        assert_eq!(config.problem(), None);
    }
    Ok(())
}

#[test]
fn a_config_of_the_first_version_reads() -> serde_json::Result<()> {
    let json = r#"{"hidden_in":192,"xlstm":{"dim":96,"num_blocks":4,"slstm_at":[1],"num_heads":4,"conv_kernel":4,
        "qkv_block_size":4,"proj_factor":2.0,"ffn_factor":1.3,"context_length":512},"head_dim":128}"#;
    let config: PredictorConfig = serde_json::from_str(json)?;
    assert_eq!(config, PredictorConfig::new(192, 96, 512));
    assert_eq!(config.words(), "xLSTM m,s,m,m, mean pooling");
    Ok(())
}

#[test]
fn cards_name_head_and_pooling() {
    let words = |settings: HeadSettings| PredictorConfig::of(&settings, 192, 512).words();
    let of = |kind, pooling, published_quirks| HeadSettings {
        pooling,
        published_quirks,
        ..HeadSettings::of(kind)
    };
    assert_eq!(
        words(of(HeadKind::Lstm, Pooling::FirstLast, false)),
        "LSTM, first and last pooling"
    );
    assert_eq!(
        words(of(HeadKind::Gru, Pooling::Max, false)),
        "GRU, max pooling"
    );
    assert_eq!(
        words(of(HeadKind::Gru, Pooling::Max, true)),
        "GRU, first and last pooling"
    );
    assert_eq!(
        words(of(HeadKind::Mamba2, Pooling::Mean, true)),
        "Mamba2 of one layer applied 4 times, as published, mean pooling"
    );
}

#[test]
fn widths_that_do_not_fit_are_named() {
    let of = |kind, dim| HeadSettings {
        dim,
        ..HeadSettings::of(kind)
    };
    for (kind, dim) in [
        (HeadKind::Xlstm, 90),
        (HeadKind::Transformer, 61),
        (HeadKind::Mlp, 0),
    ] {
        let config = PredictorConfig::of(&of(kind, dim), 192, 512);
        assert!(config.problem().is_some(), "{kind:?}");
    }
}
