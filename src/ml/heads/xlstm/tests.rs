//! The stack and its cells against step-by-step forms, finite differences and the reference implementation.

use std::collections::HashMap;

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::bail;
use candle_nn::VarBuilder;

use super::MlstmForm;
use super::XlstmConfig;
use super::XlstmStack;
use super::mlstm_cell::mlstm_cell;
use super::oracle;
use super::slstm_cell::slstm_cell;
use crate::ml::layers::check;

/// The configuration of `tests/fixtures/xlstm/make.py`.
fn small() -> XlstmConfig {
    XlstmConfig::m3_agiqa(32, 24)
}

/// Random weights in double precision, far from the zeros of a fresh stack.
fn random_weights(config: &XlstmConfig) -> Result<HashMap<String, Tensor>> {
    let list = config.parameters().into_iter().enumerate();
    list.map(|(seed, p)| {
        let weight = (check::random(&p.shape, seed as u64)? * 0.3)?;
        Ok((p.name, weight))
    })
    .collect()
}

fn random_stack(config: &XlstmConfig) -> Result<XlstmStack> {
    let vb = VarBuilder::from_tensors(random_weights(config)?, DType::F64, &Device::Cpu);
    XlstmStack::new(config, &vb)
}

#[test]
fn the_slstm_cell_equals_its_steps() -> Result<()> {
    let wx = (check::random(&[3, 7, 4 * 6], 1)? * 3.0)?;
    let recurrent = check::random(&[2, 12, 3], 2)?;
    let ours = slstm_cell(&wx, &recurrent)?;
    check::assert_close(&ours, &oracle::slstm_steps(&wx, &recurrent)?, 1e-12)
}

#[test]
fn the_slstm_cell_has_the_gradient_of_its_steps() -> Result<()> {
    let wx = Var::from_tensor(&(check::random(&[3, 7, 4 * 6], 1)? * 3.0)?)?;
    let recurrent = Var::from_tensor(&check::random(&[2, 12, 3], 2)?)?;
    let weights = check::random(&[3, 7, 6], 3)?;
    let grads = |y: Tensor| (y * &weights)?.sum_all()?.backward();
    let ours = grads(slstm_cell(&wx, &recurrent)?)?;
    let theirs = grads(oracle::slstm_steps(&wx, &recurrent)?)?;
    for var in [&wx, &recurrent] {
        let (Some(ours), Some(theirs)) = (ours.get(var), theirs.get(var)) else {
            bail!("a gradient is missing")
        };
        check::assert_close(ours, theirs, 1e-10)?;
    }
    Ok(())
}

#[test]
fn slstm_gradients_equal_finite_differences() -> Result<()> {
    let wx = (check::random(&[2, 5, 4 * 4], 4)? * 2.0)?;
    let recurrent = check::random(&[2, 8, 2], 5)?;
    check::gradients(&[wx, recurrent], |t| slstm_cell(&t[0], &t[1]))
}

/// Every way to compute an mLSTM, with chunks that divide 11 steps and that do not.
const FORMS: [MlstmForm; 5] = [
    MlstmForm::Parallel,
    MlstmForm::Chunkwise(11),
    MlstmForm::Chunkwise(4),
    MlstmForm::Chunkwise(2),
    MlstmForm::Recurrent,
];

#[test]
fn every_form_of_the_mlstm_cell_equals_its_steps() -> Result<()> {
    for scale in [1.0, 4.0, 20.0] {
        let qkv = (check::random(&[2, 11, 3 * 8], 1)? * 2.0)?;
        let gates = (check::random(&[2, 11, 4], 2)? * scale)?;
        let steps = oracle::mlstm_steps(&qkv, &gates)?;
        for form in FORMS {
            check::assert_close(&mlstm_cell(&qkv, &gates, form)?, &steps, 1e-5)?;
        }
    }
    Ok(())
}

#[test]
fn every_form_of_the_mlstm_cell_has_the_gradient_of_its_steps() -> Result<()> {
    let qkv = Var::from_tensor(&(check::random(&[2, 11, 3 * 8], 1)? * 2.0)?)?;
    let gates = Var::from_tensor(&(check::random(&[2, 11, 4], 2)? * 4.0)?)?;
    let weights = check::random(&[2, 11, 8], 3)?;
    let grads = |y: Tensor| (y * &weights)?.sum_all()?.backward();
    let theirs = grads(oracle::mlstm_steps(&qkv, &gates)?)?;
    for form in FORMS {
        let ours = grads(mlstm_cell(&qkv, &gates, form)?)?;
        for var in [&qkv, &gates] {
            let (Some(ours), Some(theirs)) = (ours.get(var), theirs.get(var)) else {
                bail!("a gradient is missing")
            };
            // The steps start from a stabiliser of 0 and ours from none, which the epsilon of 1e-6 sees.
            check::assert_close(ours, theirs, 1e-4)?;
        }
    }
    Ok(())
}

#[test]
fn tiles_and_long_chunks_agree() -> Result<()> {
    // Longer than a tile of rows, so that the parallel form has several and a last one that is not full.
    let qkv = Var::from_tensor(&(check::random(&[1, 150, 3 * 8], 1)? * 2.0)?)?;
    let gates = Var::from_tensor(&(check::random(&[1, 150, 4], 2)? * 3.0)?)?;
    let weights = check::random(&[1, 150, 8], 3)?;
    let run = |form| -> Result<(Tensor, Tensor, Tensor)> {
        let y = mlstm_cell(&qkv, &gates, form)?;
        let grads = (&y * &weights)?.sum_all()?.backward()?;
        let (Some(a), Some(b)) = (grads.get(&qkv), grads.get(&gates)) else {
            bail!("a gradient is missing")
        };
        Ok((y, a.clone(), b.clone()))
    };
    let (y, a, b) = run(MlstmForm::Recurrent)?;
    for form in [
        MlstmForm::Parallel,
        MlstmForm::Chunkwise(100),
        MlstmForm::Chunkwise(64),
    ] {
        let (y2, a2, b2) = run(form)?;
        check::assert_close(&y2, &y, 1e-5)?;
        check::assert_close(&a2, &a, 1e-5)?;
        check::assert_close(&b2, &b, 1e-5)?;
    }
    Ok(())
}

#[test]
fn mlstm_gradients_equal_finite_differences() -> Result<()> {
    // Negative gates put some rows on the floor of the normaliser, positive ones on its sum.
    for scale in [1.0, 4.0] {
        for form in [
            MlstmForm::Parallel,
            MlstmForm::Chunkwise(4),
            MlstmForm::Recurrent,
        ] {
            let qkv = (check::random(&[2, 6, 3 * 4], 3)? * 2.0)?;
            let gates = (check::random(&[2, 6, 4], 4)? * scale)?;
            // The epsilon of 1e-6 beside the normaliser is the part of the stabiliser that does not cancel.
            check::gradients_within(1e-5, &[qkv, gates], |t| mlstm_cell(&t[0], &t[1], form))?;
        }
    }
    Ok(())
}

#[test]
fn a_batch_of_two_equals_two_singles() -> Result<()> {
    let stack = random_stack(&small())?;
    let x = check::random(&[2, 9, 32], 7)?;
    let both = stack.forward(&x)?;
    for row in 0..2 {
        let single = stack.forward(&x.narrow(0, row, 1)?)?;
        check::assert_close(&both.narrow(0, row, 1)?, &single, 1e-12)?;
    }
    Ok(())
}

#[test]
fn later_tokens_leave_earlier_outputs_alone() -> Result<()> {
    let stack = random_stack(&small())?;
    let x = check::random(&[1, 9, 32], 7)?;
    let other = Tensor::cat(&[x.narrow(1, 0, 6)?, check::random(&[1, 3, 32], 8)?], 1)?;
    let (ours, theirs) = (stack.forward(&x)?, stack.forward(&other)?);
    check::assert_close(&ours.narrow(1, 0, 6)?, &theirs.narrow(1, 0, 6)?, 1e-12)
}

#[test]
fn the_stack_equals_the_reference_forward_and_backward() -> Result<()> {
    let bytes = include_bytes!("../../../../tests/fixtures/xlstm/reference.safetensors");
    let golden = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    let get = |name: String| match golden.get(&name) {
        Some(tensor) => Ok(tensor.clone()),
        None => bail!("the fixture lacks {name}"),
    };
    let config = small();
    let mut vars = Vec::new();
    let mut weights = HashMap::new();
    for parameter in config.parameters() {
        let var = Var::from_tensor(&get(format!("weight.{}", parameter.name))?)?;
        weights.insert(parameter.name.clone(), var.as_tensor().clone());
        vars.push((parameter.name, var));
    }
    let vb = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let stack = XlstmStack::new(&config, &vb)?;
    let x = Var::from_tensor(&get("input".to_owned())?)?;
    vars.push(("input".to_owned(), x.clone()));
    // What training uses, and every form of the memory; 17 steps do not divide into chunks of 5.
    let forms = [
        MlstmForm::Parallel,
        MlstmForm::Chunkwise(5),
        MlstmForm::Recurrent,
    ];
    for form in std::iter::once(None).chain(forms.map(Some)) {
        let y = match form {
            Some(form) => stack.forward_as(&x, form)?,
            None => stack.forward(&x)?,
        };
        check::assert_close(&y, &get("output".to_owned())?, 1e-4)?;
        let loss = (y * get("output_grad".to_owned())?)?.sum_all()?;
        let grads = loss.backward()?;
        for (name, var) in &vars {
            let Some(grad) = grads.get(var) else {
                bail!("{name} has no gradient")
            };
            check::assert_close(grad, &get(format!("grad.{name}"))?, 1e-4)
                .map_err(|e| e.context(format!("{name} in form {form:?}")))?;
        }
    }
    Ok(())
}

/// Gradients of `x` and of every weight, of a random weighting of the outputs.
fn gradients(
    config: &XlstmConfig,
    x: &Tensor,
    forward: impl Fn(&XlstmStack, &Tensor) -> Result<Tensor>,
) -> Result<Vec<(String, Tensor)>> {
    let mut vars = vec![("x".to_owned(), Var::from_tensor(x)?)];
    let weights: std::collections::BTreeMap<_, _> = random_weights(config)?.into_iter().collect();
    for (name, weight) in weights {
        vars.push((name, Var::from_tensor(&weight)?));
    }
    vars.sort_by(|a, b| a.0.cmp(&b.0));
    let tensors = vars
        .iter()
        .map(|(name, var)| (name.clone(), var.as_tensor().clone()));
    let vb = VarBuilder::from_tensors(tensors.collect(), DType::F64, &Device::Cpu);
    let stack = XlstmStack::new(config, &vb)?;
    let Some((_, x)) = vars.iter().find(|(name, _)| name == "x") else {
        bail!("x is missing")
    };
    let y = forward(&stack, x.as_tensor())?;
    let grads = (&y * check::random(y.dims(), 77)?)?.sum_all()?.backward()?;
    let mut out = vec![("y".to_owned(), y.detach())];
    for (name, var) in &vars {
        match grads.get(var) {
            Some(grad) => out.push((name.clone(), grad.clone())),
            None => bail!("{name} has no gradient"),
        }
    }
    Ok(out)
}

#[test]
fn fused_blocks_equal_the_graph_of_operations() -> Result<()> {
    let config = small();
    // One sequence is worked on by all threads, six by one each in groups; 70 steps take two blocks of rows.
    for (batch, seq) in [(1, 70), (6, 9), (17, 3), (2, 1)] {
        let x = check::random(&[batch, seq, config.dim], 5)?;
        let fused = gradients(&config, &x, XlstmStack::forward)?;
        let plain = gradients(&config, &x, |stack, x| {
            stack.forward_as(x, MlstmForm::Parallel)
        })?;
        for ((name, ours), (_, theirs)) in fused.iter().zip(&plain) {
            let difference = (ours - theirs)?.abs()?.flatten_all()?.max(0)?;
            // A sequence of one step has no gradient in some places, but for rounding.
            if difference.to_scalar::<f64>()? < 1e-13 {
                continue;
            }
            // candle's slope of the GELU holds a constant of seven digits.
            check::assert_close(ours, theirs, 1e-6).map_err(|e| e.context(name.clone()))?;
        }
    }
    Ok(())
}

#[test]
fn fused_blocks_give_the_same_bits_whatever_the_number_of_threads() -> Result<()> {
    let config = small();
    for batch in [1, 3, 16] {
        let x = check::random(&[batch, 80, config.dim], 6)?.to_dtype(DType::F64)?;
        let with = |threads: usize| -> Result<Vec<Vec<u64>>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(candle_core::Error::wrap)?;
            let grads = pool.install(|| gradients(&config, &x, XlstmStack::forward))?;
            let bits = grads.iter().map(|(_, grad)| -> Result<Vec<u64>> {
                let values: Vec<f64> = grad.flatten_all()?.to_vec1()?;
                Ok(values.into_iter().map(f64::to_bits).collect())
            });
            bits.collect()
        };
        let one = with(1)?;
        assert_eq!(one, with(2)?);
        assert_eq!(one, with(4)?);
    }
    Ok(())
}
