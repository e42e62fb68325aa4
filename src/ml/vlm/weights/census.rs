//! A source that holds nothing and notes what a backbone asks for: the names and shapes that it needs, found by
//! building it once without weights. So the list can never differ from what loading reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::Source;

/// One tensor that a backbone reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it is kept in the form that was asked for, and not in the activations' type.
    pub is_matrix: bool,
}

/// Names and shapes that a backbone reads.
pub type Wanted = BTreeMap<String, Slot>;

/// The note-taker. Its tensors are zeros of which only one is in memory.
#[derive(Default)]
pub struct Census {
    wanted: Mutex<Wanted>,
    /// Names that are there, for backbones whose layout depends on it.
    there: BTreeMap<String, Vec<usize>>,
}

impl Census {
    /// A census that says of names whether a source has them.
    pub fn over(source: &dyn Source) -> Self {
        let shapes = source.names().into_iter().filter_map(|name| {
            let shape = source.shape(&name)?;
            Some((name, shape))
        });
        Self {
            there: shapes.collect(),
            ..Self::default()
        }
    }

    /// What was asked for so far.
    pub fn wanted(&self) -> Wanted {
        let wanted = self.wanted.lock();
        wanted.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source for Census {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self.there.get(name) {
            Some(shape) => Some(shape.clone()),
            None => self.wanted().remove(name).map(|slot| slot.shape),
        }
    }

    fn expect(&self, name: &str, shape: &[usize], is_matrix: bool) -> Result<()> {
        let slot = Slot {
            shape: shape.to_vec(),
            is_matrix,
        };
        let wanted = self.wanted.lock();
        wanted
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), slot);
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let shape = self.wanted().remove(name).map(|slot| slot.shape);
        let shape = shape.unwrap_or_default();
        Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(shape)
    }

    fn names(&self) -> Vec<String> {
        self.wanted().into_keys().collect()
    }
}
