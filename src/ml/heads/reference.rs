//! Every head against tensors of its reference implementation: output, and the gradient of every weight.

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

/// Holds a head without its norm against the file that `tests/fixtures/heads/make.py` wrote, within 1e-4.
fn equals_its_reference(config: &HeadConfig, fixture: &[u8]) -> Result<()> {
    let golden = candle_core::safetensors::load_buffer(fixture, &Device::Cpu)?;
    let get = |name: String| match golden.get(&name) {
        Some(tensor) => Ok(tensor.clone()),
        None => bail!("the fixture lacks {name}"),
    };
    let lengths: Vec<i64> = get("lengths".to_owned())?.to_vec1()?;
    let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
    let mut vars = Vec::new();
    let mut weights = HashMap::new();
    let prefix = format!("{}.", config.prefix());
    for parameter in config.parameters() {
        // The norm behind a head is ours to add, the reference's modules end before it.
        let Some(name) = parameter.name.strip_prefix(&prefix) else {
            continue;
        };
        let var = Var::from_tensor(&get(format!("weight.{name}"))?.reshape(parameter.shape)?)?;
        weights.insert(parameter.name.clone(), var.as_tensor().clone());
        vars.push((name.to_owned(), var));
    }
    let theirs = golden
        .keys()
        .filter(|name| name.starts_with("weight."))
        .count();
    assert_eq!(vars.len(), theirs, "as many weights as the reference");
    for (name, value) in [("weight", 1.0_f32), ("bias", 0.0)] {
        let values = Tensor::full(value, config.dim(), &Device::Cpu)?;
        weights.insert(format!("{NORM}.{name}"), values);
    }
    let vb = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let head = Head {
        norm: None,
        ..Head::new(config, &vb)?
    };
    let x = Var::from_tensor(&get("input".to_owned())?)?;
    let y = head.forward(&x, &lengths, &Dropout::off())?;
    let output = get("output".to_owned())?;
    for (row, &length) in lengths.iter().enumerate() {
        let own = |t: &Tensor| t.narrow(0, row, 1)?.narrow(1, 0, length);
        check::assert_close(&own(&y)?, &own(&output)?, 1e-4)?;
    }
    let grads = (y * get("output_grad".to_owned())?)?
        .sum_all()?
        .backward()?;
    vars.push(("input".to_owned(), x));
    for (name, var) in vars {
        let Some(grad) = grads.get(&var) else {
            bail!("{name} has no gradient")
        };
        let theirs = get(format!("grad.{name}"))?.reshape(grad.shape())?;
        check::assert_close(grad, &theirs, 1e-4).map_err(|e| e.context(name))?;
    }
    Ok(())
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(
            "../../../tests/fixtures/heads/",
            $name,
            ".safetensors"
        ))
    };
}

fn recurrent() -> RecurrentConfig {
    RecurrentConfig {
        dim: 16,
        num_layers: 2,
        context_length: 64,
    }
}

#[test]
fn the_lstm_equals_the_reference_forward_and_backward() -> Result<()> {
    equals_its_reference(&HeadConfig::Lstm(recurrent()), fixture!("lstm"))
}

#[test]
fn the_gru_equals_the_reference_forward_and_backward() -> Result<()> {
    equals_its_reference(&HeadConfig::Gru(recurrent()), fixture!("gru"))
}

fn transformer(attends_to_itself: bool) -> HeadConfig {
    HeadConfig::Transformer(TransformerConfig {
        dim: 16,
        num_layers: 2,
        num_heads: 2,
        ff_dim: 64,
        dropout: 0.2,
        attends_to_itself,
        context_length: 64,
    })
}

#[test]
fn the_transformer_equals_the_reference_forward_and_backward() -> Result<()> {
    equals_its_reference(&transformer(false), fixture!("transformer"))
}

#[test]
fn the_published_slip_of_the_transformer_equals_the_reference() -> Result<()> {
    equals_its_reference(&transformer(true), fixture!("transformer_self"))
}

fn mamba2(shares_weights: bool) -> HeadConfig {
    HeadConfig::Mamba2(Mamba2Config {
        dim: 16,
        num_layers: 2,
        state: 16,
        expand: 2,
        head_dim: 8,
        conv_kernel: 4,
        shares_weights,
        context_length: 64,
    })
}

#[test]
fn mamba2_equals_its_equations_forward_and_backward() -> Result<()> {
    equals_its_reference(&mamba2(false), fixture!("mamba2"))
}

#[test]
fn the_published_slip_of_mamba2_equals_its_equations() -> Result<()> {
    equals_its_reference(&mamba2(true), fixture!("mamba2_shared"))
}
