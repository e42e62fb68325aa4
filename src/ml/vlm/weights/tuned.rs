//! What is trained of a model: low-rank changes beside matrices, and whole modules.
//!
//! Weights on their way into a backbone ask here, name by name, so that no backbone knows what of it is trained. What is
//! trained is kept in single precision where the optimiser is, on the CPU or on the device, and cast and moved as it is
//! used.
//!
//! **Source** Hu et al. 2021, arXiv 2106.09685; peft 0.21, `tuners/lora/layer.py` (scale, initial values, where dropout
//! stands), `utils/other.py` (modules that are saved whole).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Tensor, Var, bail};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Wanted;
use super::adapter::{Targets, is_within};
use crate::ml::layers::linear;
use crate::ml::vlm::fused::leave_out;
use crate::stats::{SplitMix64, fnv1a};

/// Ends of the names of a change's two matrices, as peft writes them.
const LORA_A: &str = ".lora_A.weight";
const LORA_B: &str = ".lora_B.weight";

/// What is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneScope {
    /// A regular expression for whole names of modules that get a low-rank change; `None`: none do.
    pub target: Option<String>,
    /// Modules that are trained whole, by name or last parts of a name.
    pub whole: Vec<String>,
    /// Rank of the changes.
    pub rank: usize,
    /// Numerator of their scale.
    pub alpha: f64,
    /// Part of a change's input that is left out while learning.
    pub dropout: f64,
    /// Seed of the initial changes and of what is left out.
    pub seed: u64,
}

/// The parts of a backbone that are trained.
pub struct Tuned {
    scope: TuneScope,
    targets: Option<Targets>,
    /// Where the optimiser is.
    home: Device,
    vars: Mutex<BTreeMap<String, Trained>>,
    draw: Arc<Draw>,
}

/// Which values are left out at present: none while there is no draw.
#[derive(Debug, Default)]
pub(super) struct Draw(AtomicU64);

impl Draw {
    /// The seed of a layer for the present draw; `None` where nothing is left out.
    fn of(&self, layer: u64) -> Option<u64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            draw => Some(SplitMix64::new(draw ^ layer).next_bits()),
        }
    }
}

/// A variable in two forms.
#[derive(Debug, Clone)]
struct Trained {
    /// What the backbone computes with, and what gradients are found for.
    working: Var,
    /// Single precision where the optimiser is; the same variable where the backbone computes with that.
    master: Var,
}

impl Trained {
    fn new(values: &Tensor, (dtype, device): (DType, &Device), home: &Device) -> Result<Self> {
        let single = values.to_device(home)?.to_dtype(DType::F32)?;
        let master = Var::from_tensor(&single)?;
        let working = match dtype == DType::F32 && device.same_device(home) {
            true => master.clone(),
            false => Var::from_tensor(&single.to_dtype(dtype)?.to_device(device)?)?,
        };
        Ok(Self { working, master })
    }

    fn as_working(&self) -> Tensor {
        self.working.as_tensor().clone()
    }

    /// Gives the backbone what the optimiser made.
    fn refresh(&self) -> Result<()> {
        if self.working.as_tensor().id() == self.master.as_tensor().id() {
            return Ok(());
        }
        let (dtype, device) = (self.working.dtype(), self.working.device().clone());
        let values = self.master.as_detached_tensor();
        self.working
            .set(&values.to_dtype(dtype)?.to_device(&device)?)
    }
}

/// What becomes of one tensor.
enum Part<'n> {
    Whole,
    /// The module's name.
    LowRank(&'n str),
    Frozen,
}

/// A low-rank change of one matrix.
#[derive(Debug, Clone)]
pub(super) struct LowRank {
    a: Tensor,
    b: Tensor,
    scale: f64,
    dropout: f64,
    draw: Arc<Draw>,
    layer: u64,
}

impl LowRank {
    /// What it adds to the product of `x (rows, width)`: `(rows, out)`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = match self.draw.of(self.layer) {
            Some(seed) if self.dropout > 0.0 => leave_out(x, self.dropout, seed)?,
            _ => x.clone(),
        };
        // Scaled where it is narrow.
        let narrow = (linear(&x, &self.a, None)? * self.scale)?;
        linear(&narrow, &self.b, None)
    }

    /// The change itself in single precision, `(out, width)`.
    pub(super) fn product(&self) -> Result<Tensor> {
        self.b.matmul(&self.a)?.to_dtype(DType::F32)? * self.scale
    }
}

impl Tuned {
    /// Of a scope; nothing is there yet.
    ///
    /// # Errors
    /// A pattern that cannot be read, in words.
    pub fn new(scope: &TuneScope) -> std::result::Result<Self, String> {
        let targets = scope.target.as_deref().map(Targets::pattern).transpose()?;
        Ok(Self {
            scope: scope.clone(),
            targets,
            home: Device::Cpu,
            vars: Mutex::default(),
            draw: Arc::default(),
        })
    }

    /// The same with the optimiser on a device.
    #[must_use]
    pub fn optimised_on(self, home: &Device) -> Self {
        Self {
            home: home.clone(),
            ..self
        }
    }

    /// What was asked for.
    pub const fn scope(&self) -> &TuneScope {
        &self.scope
    }

    /// Leaves values out from now on, the same ones for the same number; 0 leaves none out.
    pub fn draw(&self, number: u64) {
        self.draw.0.store(number, Ordering::Relaxed);
    }

    /// Names of what is trained, with the shapes: `MODULE.lora_A.weight`, `MODULE.lora_B.weight`, and the tensors of whole
    /// modules under their own names.
    pub fn shapes(&self, wanted: &Wanted) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::new();
        for (name, slot) in wanted {
            match (self.part(name), slot.shape.as_slice()) {
                (Part::Whole, shape) => {
                    shapes.insert(name.clone(), shape.to_vec());
                }
                (Part::LowRank(module), [out, width]) if slot.is_matrix => {
                    shapes.insert(format!("{module}{LORA_A}"), vec![self.scope.rank, *width]);
                    shapes.insert(format!("{module}{LORA_B}"), vec![*out, self.scope.rank]);
                }
                _ => {}
            }
        }
        shapes
    }

    /// Whether a tensor takes part, and how.
    fn part<'n>(&self, name: &'n str) -> Part<'n> {
        if is_within(&self.scope.whole, name) {
            return Part::Whole;
        }
        let module = name.strip_suffix(".weight").unwrap_or_default();
        match &self.targets {
            Some(targets) if !module.is_empty() && targets.take(module) => Part::LowRank(module),
            _ => Part::Frozen,
        }
    }

    /// The tensor of a module that is trained whole; `None` for all others.
    pub(super) fn whole(
        &self,
        name: &str,
        (dtype, device): (DType, &Device),
        read: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Option<Tensor>> {
        match self.part(name) {
            Part::Whole => self.var(name, (dtype, device), read).map(Some),
            _ => Ok(None),
        }
    }

    /// The change of a matrix `(out, width)`; `None` for one that gets none.
    pub(super) fn low_rank(
        &self,
        name: &str,
        (out, width): (usize, usize),
        place: (DType, &Device),
    ) -> Result<Option<LowRank>> {
        let Part::LowRank(module) = self.part(name) else {
            return Ok(None);
        };
        if module.ends_with("embed_tokens") {
            bail!(
                "{module} is an embedding: low-rank changes are for products; train it whole, or leave it out of the target"
            )
        }
        let layer = fnv1a(module);
        let a = self.var(&format!("{module}{LORA_A}"), place, || {
            // Kaiming's uniform values with a slope of the root of 5, as peft has them.
            let bound = (width as f32).sqrt().recip();
            let mut random = ChaCha8Rng::seed_from_u64(self.scope.seed ^ layer);
            let count = self.scope.rank * width;
            let values = (0..count).map(|_| random.random_range(-bound..bound));
            Tensor::from_vec(
                values.collect::<Vec<f32>>(),
                (self.scope.rank, width),
                &Device::Cpu,
            )
        })?;
        let b = self.var(&format!("{module}{LORA_B}"), place, || {
            Tensor::zeros((out, self.scope.rank), DType::F32, &Device::Cpu)
        })?;
        Ok(Some(LowRank {
            a,
            b,
            scale: self.scope.alpha / self.scope.rank as f64,
            dropout: self.scope.dropout,
            draw: self.draw.clone(),
            layer,
        }))
    }

    /// A variable by its name, made when it is first asked for.
    fn var(
        &self,
        name: &str,
        place: (DType, &Device),
        make: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut vars = self.lock();
        if let Some(known) = vars.get(name) {
            return Ok(known.as_working());
        }
        let made = Trained::new(&make()?, place, &self.home)?;
        let working = made.as_working();
        vars.insert(name.to_owned(), made);
        Ok(working)
    }

    /// Everything that is trained, in the order of its names.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// What gradients are found for, in that order.
    pub fn working(&self) -> Vec<Var> {
        let vars = self.lock();
        vars.values()
            .map(|trained| trained.working.clone())
            .collect()
    }

    /// What the optimiser moves, in that order.
    pub fn masters(&self) -> Vec<Var> {
        let vars = self.lock();
        vars.values()
            .map(|trained| trained.master.clone())
            .collect()
    }

    /// Gives the backbone what the optimiser made of the masters.
    ///
    /// # Errors
    /// Failed copies.
    pub fn refresh(&self) -> Result<()> {
        self.lock().values().try_for_each(Trained::refresh)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Trained>> {
        self.vars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
