//! An operation whose result is computed already, with a way back of its own: candle's fused operations have none, and its
//! way back through a product answers more than is asked for.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage as _;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};

/// `out`, made of one to three operands, with the way from itself and its gradient to the gradients of the operands. `out`
/// must come from operands that are cut off from their graphs; where none of them leads back to anything trained, it is
/// the answer as it is.
///
/// # Errors
/// Operands on different devices.
pub(super) fn known<const N: usize>(
    operands: [&Tensor; N],
    out: Tensor,
    back: impl Fn(&Tensor, &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
) -> Result<Tensor> {
    const { assert!(N > 0 && N < 4, "an operation has one to three operands") };
    if !operands.iter().any(|operand| operand.track_op()) {
        return Ok(out);
    }
    let of = |place: usize| operands[place.min(N - 1)];
    let back = move |result: &Tensor, grad: &Tensor| {
        let mut grads = back(result, grad)?.into_iter();
        Ok([(); 3].map(|()| grads.next().flatten()))
    };
    let known = Known {
        out: Mutex::new(Some(out)),
        back,
    };
    // An operand that stands in for one that is not there gets no gradient.
    of(0).apply_op3(of(1), of(2), known)
}

/// A result and the way from its gradient to those of what it was made of.
struct Known<B> {
    /// Until the graph has its own copy.
    out: Mutex<Option<Tensor>>,
    back: B,
}

impl<B> Known<B> {
    /// The result as it was computed, whichever device it is on.
    fn done<S>(
        &self,
        pick: impl FnOnce(&Storage, &Layout) -> Option<Result<S>>,
    ) -> Result<(S, Shape)> {
        let out = self
            .out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(out) = out else {
            bail!("a result that was known is gone")
        };
        let (storage, layout) = out.storage_and_layout();
        match pick(&storage, layout) {
            Some(storage) => Ok((storage?, out.shape().clone())),
            None => bail!("a result and its operands lie on different devices"),
        }
    }
}

impl<B> CustomOp3 for Known<B>
where
    B: Fn(&Tensor, &Tensor) -> Result<[Option<Tensor>; 3]>,
{
    fn name(&self) -> &'static str {
        "known"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.done(|storage, layout| match storage {
            Storage::Cpu(storage) => Some(storage.try_clone(layout)),
            _ => None,
        })
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.done(|storage, layout| match storage {
            Storage::Cuda(storage) => Some(storage.try_clone(layout)),
            _ => None,
        })
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.done(|storage, layout| match storage {
            Storage::Metal(storage) => Some(storage.try_clone(layout)),
            _ => None,
        })
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [first, second, third] = (self.back)(result, &grad.contiguous()?)?;
        Ok((first, second, third))
    }
}
