//! Tensors that several models over one base share: an adapter's model takes what the adapter leaves alone from here,
//! so that a base is loaded once for all of them, and swapping adapters reads only what they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{Result, Tensor};

use super::{Form, Matrix};

/// What was loaded of a base, by name. All of it is of one form on one device.
#[derive(Default)]
pub struct Shelf {
    tensors: Mutex<BTreeMap<String, Tensor>>,
    matrices: Mutex<BTreeMap<String, Matrix>>,
    form: OnceLock<Form>,
}

impl Shelf {
    /// The form of what lies here; `None` as long as nothing was loaded.
    pub fn form(&self) -> Option<Form> {
        self.form.get().copied()
    }

    /// Says which form everything here has; the first word counts.
    pub fn settle(&self, form: Form) {
        self.form.set(form).ok();
    }

    /// Names of what lies here.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = locked(&self.tensors).keys().cloned().collect();
        names.extend(locked(&self.matrices).keys().cloned());
        names
    }

    fn tensor(&self, name: &str, load: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        shared(&self.tensors, name, load)
    }

    fn matrix(&self, name: &str, load: impl FnOnce() -> Result<Matrix>) -> Result<Matrix> {
        shared(&self.matrices, name, load)
    }
}

/// A shelf, and the names that are not to be taken from it.
#[derive(Clone)]
pub(super) struct Share {
    shelf: Arc<Shelf>,
    own: Arc<BTreeSet<String>>,
}

impl Share {
    pub(super) const fn new(shelf: Arc<Shelf>, own: Arc<BTreeSet<String>>) -> Self {
        Self { shelf, own }
    }

    pub(super) fn tensor(
        share: Option<&Self>,
        name: &str,
        load: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        match share.filter(|share| !share.own.contains(name)) {
            Some(share) => share.shelf.tensor(name, load),
            None => load(),
        }
    }

    pub(super) fn matrix(
        share: Option<&Self>,
        name: &str,
        load: impl FnOnce() -> Result<Matrix>,
    ) -> Result<Matrix> {
        match share.filter(|share| !share.own.contains(name)) {
            Some(share) => share.shelf.matrix(name, load),
            None => load(),
        }
    }
}

fn shared<T: Clone>(
    kept: &Mutex<BTreeMap<String, T>>,
    name: &str,
    load: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let found = locked(kept).get(name).cloned();
    if let Some(found) = found {
        return Ok(found);
    }
    let loaded = load()?;
    locked(kept).insert(name.to_owned(), loaded.clone());
    Ok(loaded)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Entries come whole, so the map is good even if a thread died while it held it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
