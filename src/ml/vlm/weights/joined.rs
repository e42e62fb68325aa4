//! Several sources as one: a decoder from one file, the vision part from another.

use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::{Result, Tensor, bail};

use super::Source;

/// Several sources as one: what the first has is taken from it.
pub struct Joined(Vec<Arc<dyn Source>>);

impl Joined {
    /// Joins them.
    pub const fn new(sources: Vec<Arc<dyn Source>>) -> Self {
        Self(sources)
    }

    fn with(&self, name: &str) -> Result<&dyn Source> {
        let found = self.0.iter().find(|source| source.shape(name).is_some());
        match found {
            Some(source) => Ok(&**source),
            None => bail!("the weights lack {name}"),
        }
    }
}

impl Source for Joined {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.iter().find_map(|source| source.shape(name))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.with(name)?.read(name)
    }

    fn read_rows(&self, name: &str, start: usize, len: usize) -> Result<Tensor> {
        self.with(name)?.read_rows(name, start, len)
    }

    fn has_cheap_rows(&self, name: &str) -> bool {
        self.with(name)
            .is_ok_and(|source| source.has_cheap_rows(name))
    }

    fn read_blocks(&self, name: &str) -> Result<Option<(GgmlDType, Vec<u8>)>> {
        self.with(name)?.read_blocks(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().flat_map(|source| source.names()).collect();
        names.sort();
        names.dedup();
        names
    }
}
