//! Activation checkpointing: a forward pass that keeps what enters each layer and nothing else, and a way back that
//! runs each layer again.
//!
//! candle has no such thing. A model calls [`Tape::layer`] around each of its layers. In inference ([`Tape::off`]) that is
//! the layer itself. Where something is trained, the layer runs, what it computed on the way is let go, and its result
//! goes on as a leaf; on the way back ([`Tape::backward`]) the layer runs once more on its input, with the gradient of
//! its result. So memory is one layer's activations and the inputs of all. What stands between layers is an ordinary
//! graph of candle's.
//!
//! **Source** T. Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174, section 4.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, Var};

/// Gradients by tensor, added up.
#[derive(Debug, Default)]
pub struct Grads(HashMap<TensorId, Tensor>);

impl Grads {
    /// The gradient of a variable, if there is one.
    pub fn get(&self, var: &Tensor) -> Option<&Tensor> {
        self.0.get(&var.id())
    }

    /// Adds the gradients that others found for variables.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn join(&mut self, others: &Self, vars: &[Var]) -> Result<()> {
        for var in vars {
            if let Some(grad) = others.get(var) {
                self.add(var.as_tensor().id(), grad)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, id: TensorId, grad: &Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(sum) => (sum + grad)?,
            None => grad.clone(),
        };
        self.0.insert(id, sum.detach());
        Ok(())
    }
}

type Run<'a> = Box<dyn Fn(&Tensor) -> Result<Tensor> + 'a>;

/// One layer that ran.
struct Segment<'a> {
    /// What entered it, with the graph behind it.
    input: Tensor,
    run: Run<'a>,
    /// What left it.
    output: Tensor,
}

/// The layers that ran, in order.
pub struct Tape<'a> {
    /// `None`: layers run as they are.
    segments: Option<Vec<Segment<'a>>>,
}

impl<'a> Tape<'a> {
    /// Layers run as they are; gradients, where there are any, are candle's own: for inference, and to hold the other
    /// way against it.
    pub const fn off() -> Self {
        Self { segments: None }
    }

    /// Layers are kept by their inputs.
    pub const fn on() -> Self {
        Self {
            segments: Some(Vec::new()),
        }
    }

    /// Runs a layer on `x`. It must answer the same whenever it is run on the same input.
    ///
    /// # Errors
    /// Whatever the layer answers.
    pub fn layer(
        &mut self,
        x: &Tensor,
        run: impl Fn(&Tensor) -> Result<Tensor> + 'a,
    ) -> Result<Tensor> {
        let Some(segments) = &mut self.segments else {
            return run(x);
        };
        let out = run(&x.detach())?;
        // Where neither the input nor the layer is trained nothing leads back.
        if !x.track_op() && !out.track_op() {
            return Ok(out);
        }
        let output = Var::from_tensor(&out.detach())?.into_inner();
        segments.push(Segment {
            input: x.clone(),
            run: Box::new(run),
            output: output.clone(),
        });
        Ok(output)
    }

    /// Adds the gradients of a loss with respect to `vars`.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn backward(self, loss: &Tensor, vars: &[Var], grads: &mut Grads) -> Result<()> {
        if !loss.track_op() {
            return Ok(());
        }
        let store = loss.backward()?;
        self.unwind(store, vars, grads)
    }

    /// The same from the gradient of a result of these layers, where that was found some other way.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn backward_from(
        self,
        result: &Tensor,
        grad: &Tensor,
        vars: &[Var],
        grads: &mut Grads,
    ) -> Result<()> {
        if !result.track_op() {
            return Ok(());
        }
        let store = pulled(result, grad)?;
        self.unwind(store, vars, grads)
    }

    /// Layer by layer, the last one first: nothing leads from an earlier one to the result but through later ones.
    fn unwind(self, store: GradStore, vars: &[Var], grads: &mut Grads) -> Result<()> {
        let mut segments = self.segments.unwrap_or_default();
        let mut leaves = Grads::default();
        let mut collect = |store: GradStore, segments: &[Segment<'_>], leaves: &mut Grads| {
            for var in vars {
                if let Some(grad) = store.get(var.as_tensor()) {
                    grads.add(var.as_tensor().id(), grad)?;
                }
            }
            for segment in segments {
                if let Some(grad) = store.get(&segment.output) {
                    leaves.add(segment.output.id(), grad)?;
                }
            }
            Ok::<(), candle_core::Error>(())
        };
        collect(store, &segments, &mut leaves)?;
        while let Some(segment) = segments.pop() {
            let Some(grad) = leaves.0.remove(&segment.output.id()) else {
                continue;
            };
            let Some((store, input_grad)) = segment.back(&grad)? else {
                continue;
            };
            drop(grad);
            collect(store, &segments, &mut leaves)?;
            if let Some(input_grad) = input_grad {
                collect(pulled(&segment.input, &input_grad)?, &segments, &mut leaves)?;
            }
        }
        Ok(())
    }
}

impl Segment<'_> {
    /// Runs the layer again: gradients of what is trained in it, and that of its input where something leads on.
    fn back(&self, grad: &Tensor) -> Result<Option<(GradStore, Option<Tensor>)>> {
        let input = match self.input.track_op() {
            true => Var::from_tensor(&self.input.detach())?.into_inner(),
            false => self.input.clone(),
        };
        let out = (self.run)(&input)?;
        if !out.track_op() {
            return Ok(None);
        }
        let mut store = pulled(&out, grad)?;
        let input_grad = match input.is_variable() {
            true => store.remove(&input),
            false => None,
        };
        Ok(Some((store, input_grad)))
    }
}

/// Gradients of everything behind `result`, given its own.
fn pulled(result: &Tensor, grad: &Tensor) -> Result<GradStore> {
    if result.is_variable() {
        // A sum times a constant: nothing stands between a leaf and itself.
        let mut store = result.sum_all()?.backward()?;
        store.insert(result, grad.clone());
        return Ok(store);
    }
    (result * grad.detach())?.sum_all()?.backward()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Two chains of layers that meet in a third, with variables in all of them and an input that is used twice.
    fn run<'a>(vars: &'a [Var], tape: &mut Tape<'a>) -> Result<Tensor> {
        let x = Tensor::arange(0_f32, 6.0, &Device::Cpu)?.reshape((2, 3))?;
        let layer = |at: usize| {
            move |x: &Tensor| -> Result<Tensor> { x.matmul(vars[at].as_tensor())?.tanh()? + x }
        };
        let frozen = tape.layer(&(&x * 0.1)?, Tensor::sqr)?;
        assert!(!frozen.track_op());
        let a = tape.layer(&frozen, layer(0))?;
        let a = tape.layer(&a, layer(1))?;
        let b = tape.layer(&(&a * vars[3].as_tensor())?, layer(1))?;
        let both = Tensor::cat(&[&a, &b, &a], 0)?;
        tape.layer(&both, layer(2))
    }

    fn vars() -> Result<Vec<Var>> {
        let var = |salt: f32| {
            let values = (0..9).map(|i| ((i as f32 + salt) * 1.7).sin() * 0.4);
            Var::from_vec(values.collect::<Vec<f32>>(), (3, 3), &Device::Cpu)
        };
        let scale = Var::ones((2, 3), DType::F32, &Device::Cpu)?;
        Ok(vec![var(0.0)?, var(1.0)?, var(2.0)?, scale])
    }

    #[test]
    fn gradients_are_those_of_the_whole_graph() -> Result<()> {
        let vars = vars()?;
        let mut gradients = Vec::new();
        for mut tape in [Tape::off(), Tape::on()] {
            let out = run(&vars, &mut tape)?;
            let mut grads = Grads::default();
            tape.backward(&out.sqr()?.sum_all()?, &vars, &mut grads)?;
            gradients.push(grads);
        }
        let mut tape = Tape::on();
        let out = run(&vars, &mut tape)?;
        let mut grads = Grads::default();
        tape.backward_from(&out, &(&out * 2.0)?, &vars, &mut grads)?;
        gradients.push(grads);
        for var in &vars {
            let of = |at: usize| gradients[at].get(var).unwrap().flatten_all();
            for at in [1, 2] {
                let apart = (of(0)? - of(at)?)?.abs()?.max(0)?.to_scalar::<f32>()?;
                assert!(apart < 1e-5, "{apart}");
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_of_several_losses_add_up() -> Result<()> {
        let vars = vars()?;
        let mut once = Grads::default();
        let mut twice = Grads::default();
        for times in [1, 2] {
            for _ in 0..times {
                let mut tape = Tape::on();
                let loss = run(&vars, &mut tape)?.sum_all()?;
                let into = if times == 1 { &mut once } else { &mut twice };
                tape.backward(&loss, &vars, into)?;
            }
        }
        for var in &vars {
            let double = (once.get(var).unwrap() * 2.0)?;
            let apart = (twice.get(var).unwrap() - double)?.abs()?.max_all()?;
            assert!(apart.to_scalar::<f32>()? < 1e-5);
        }
        Ok(())
    }
}
