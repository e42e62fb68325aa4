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
}

impl Census {
    /// What was asked for so far.
    pub fn wanted(&self) -> Wanted {
        let wanted = self.wanted.lock();
        wanted.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source for Census {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.wanted().remove(name).map(|slot| slot.shape)
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
        let shape = self.shape(name).unwrap_or_default();
        Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(shape)
    }

    fn names(&self) -> Vec<String> {
        self.wanted().into_keys().collect()
    }
}
