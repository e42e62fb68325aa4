//! Activation checkpointing: a forward pass that keeps what enters each layer and nothing else, and a way back that
//! runs each layer again.
//!
//! candle has no such thing. A model calls [`Tape::layer`] around each of its layers. In inference ([`Tape::off`]) that is
//! the layer itself. Where something is trained, the layer runs, what it computed on the way is let go, and its result
//! goes on as a leaf; on the way back ([`Tape::backward`]) the layer runs once more on its input, with the gradient of
//! its result. So memory is one layer's activations and the inputs of all. Where there is room for more
//! ([`Tape::with_room`]), what some layers computed is kept after all, and these run once. What stands between layers is
//! an ordinary graph of candle's.
//!
//! **Source** T. Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174, section 4.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, TensorId, Var};

use super::known::known;

/// Gradients by tensor, added up.
#[derive(Debug, Default)]
pub struct Grads(HashMap<TensorId, Tensor>);

impl Grads {
    /// The gradient of a variable, if there is one.
    pub fn get(&self, var: &Tensor) -> Option<&Tensor> {
        self.0.get(&var.id())
    }

    /// Takes the gradient of a variable out, if there is one.
    pub fn take(&mut self, var: &Tensor) -> Option<Tensor> {
        self.0.remove(&var.id())
    }

    /// Adds the gradients that others found for variables.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn join(&mut self, others: &Self, vars: &[Var]) -> Result<()> {
        for var in vars {
            if let Some(grad) = others.get(var) {
                self.add_wide(var.as_tensor().id(), grad)?;
            }
        }
        Ok(())
    }

    /// A variable's gradients add up in single precision: a half type would lose the small ones.
    fn add_wide(&mut self, id: TensorId, grad: &Tensor) -> Result<()> {
        match grad.dtype() {
            DType::F16 | DType::BF16 => self.add(id, &grad.to_dtype(DType::F32)?),
            _ => self.add(id, grad),
        }
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
    /// What it computed on the way, where that was kept.
    kept: Option<Kept>,
}

/// A layer's graph.
struct Kept {
    /// What entered it: a leaf where something leads on.
    input: Tensor,
    /// What left it, with the graph behind it.
    output: Tensor,
}

/// The layers that ran, in order.
pub struct Tape<'a> {
    /// `None`: layers run as they are.
    segments: Option<Vec<Segment<'a>>>,
    /// Bytes that are left for graphs.
    room: u64,
    /// Bytes that the graph of a layer to come takes.
    layer: u64,
}

impl<'a> Tape<'a> {
    /// Layers run as they are; gradients, where there are any, are candle's own: for inference, and to hold the other
    /// way against it.
    pub const fn off() -> Self {
        Self {
            segments: None,
            room: 0,
            layer: 0,
        }
    }

    /// Layers are kept by their inputs.
    pub const fn on() -> Self {
        Self::with_room(0)
    }

    /// Layers are kept whole as far as `room` bytes go, and the others by their inputs.
    pub const fn with_room(room: u64) -> Self {
        Self {
            segments: Some(Vec::new()),
            room,
            layer: u64::MAX,
        }
    }

    /// Says how many bytes the graph of each layer to come takes; before it is said, none is kept.
    pub const fn layers_of(&mut self, bytes: u64) {
        self.layer = bytes;
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
        let has_room = self.layer <= self.room;
        let input = match has_room {
            true => leaf(x)?,
            false => x.detach(),
        };
        let out = run(&input)?;
        // Where neither the input nor the layer is trained nothing leads back.
        if !x.track_op() && !out.track_op() {
            return Ok(out);
        }
        let output = Var::from_tensor(&out.detach())?.into_inner();
        if has_room {
            self.room -= self.layer;
        }
        let kept = has_room.then_some(Kept { input, output: out });
        segments.push(Segment {
            input: x.clone(),
            run: Box::new(run),
            output: output.clone(),
            kept,
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
                    grads.add_wide(var.as_tensor().id(), grad)?;
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
    /// Gradients of what is trained in the layer, and that of its input where something leads on.
    fn back(&self, grad: &Tensor) -> Result<Option<(GradStore, Option<Tensor>)>> {
        let (input, out) = if let Some(Kept { input, output }) = &self.kept {
            (input.clone(), output.clone())
        } else {
            let input = leaf(&self.input)?;
            let out = (self.run)(&input)?;
            (input, out)
        };
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

/// What enters a layer whose graph is wanted: cut off from what is behind it, and a variable where something is.
fn leaf(x: &Tensor) -> Result<Tensor> {
    match x.track_op() {
        true => Ok(Var::from_tensor(&x.detach())?.into_inner()),
        false => Ok(x.clone()),
    }
}

/// Gradients of everything behind `result`, given its own.
fn pulled(result: &Tensor, grad: &Tensor) -> Result<GradStore> {
    let grad = grad.detach();
    // A number whose value nobody asks for, with this gradient behind it.
    let nothing = Tensor::zeros((), result.dtype(), result.device())?;
    known([result], nothing, move |_, _| Ok([Some(grad.clone())]))?.backward()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

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
        let roomy = |room: u64| {
            let mut tape = Tape::with_room(room);
            tape.layers_of(10);
            tape
        };
        // Room for none, for two of the four layers with something to learn, and for all.
        for mut tape in [Tape::off(), Tape::on(), roomy(25), roomy(1_000)] {
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
            for at in 1..gradients.len() {
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
