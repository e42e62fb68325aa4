//! Named weights as one block of bytes (safetensors) with a JSON document in its metadata.

use std::collections::BTreeMap;
use std::collections::HashMap;

use candle_core::Device;
use candle_core::Tensor;
use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MlError;

/// Single-precision weights by name, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    weights: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl StateDict {
    /// Adds a weight, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        self.weights.insert(name.into(), (shape.to_vec(), values));
    }

    /// Shape and values of a weight.
    pub fn get(&self, name: &str) -> Result<(&[usize], &[f32]), MlError> {
        match self.weights.get(name) {
            Some((shape, values)) => Ok((shape, values)),
            None => Err(MlError::Weights(format!("{name} is missing"))),
        }
    }

    /// Weights whose name begins with `prefix`, without it.
    pub fn part(&self, prefix: &str) -> Self {
        let inside = self.weights.iter().filter_map(|(name, weight)| {
            let name = name.strip_prefix(prefix)?;
            Some((name.to_owned(), weight.clone()))
        });
        Self {
            weights: inside.collect(),
        }
    }

    /// Adds every weight of `part` under `prefix`.
    pub fn extend(&mut self, prefix: &str, part: &Self) {
        for (name, weight) in &part.weights {
            self.weights
                .insert(format!("{prefix}{name}"), weight.clone());
        }
    }

    /// Tensors on the CPU.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>, MlError> {
        let tensors = self.weights.iter().map(|(name, (shape, values))| {
            let tensor = Tensor::from_slice(values, shape.as_slice(), &Device::Cpu)?;
            Ok((name.clone(), tensor))
        });
        tensors.collect()
    }

    /// The bytes of a safetensors file whose metadata holds `document` under `key`.
    pub fn to_bytes(&self, key: &str, document: &impl Serialize) -> Result<Vec<u8>, MlError> {
        let json = serde_json::to_string(document).map_err(|e| MlError::Weights(e.to_string()))?;
        let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .weights
            .iter()
            .map(|(name, (shape, values))| {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, shape, bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| MlError::Weights(e.to_string()))?;
        safetensors::serialize(views, Some(HashMap::from([(key.to_owned(), json)])))
            .map_err(|e| MlError::Weights(e.to_string()))
    }

    /// Reads the bytes back, and the document under `key`.
    pub fn from_bytes<D: DeserializeOwned>(bytes: &[u8], key: &str) -> Result<(Self, D), MlError> {
        let damaged = |why: String| MlError::Weights(format!("not a safetensors file: {why}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
        let json = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(key))
            .ok_or_else(|| MlError::Weights(format!("the file says nothing about its {key}")))?;
        let document = serde_json::from_str(json)
            .map_err(|e| MlError::Weights(format!("its {key} cannot be read: {e}")))?;
        let mut dict = Self::default();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                let why = format!("{name} is {:?}, expected single precision", view.dtype());
                return Err(MlError::Weights(why));
            }
            let values = view.data().as_chunks::<4>().0.iter();
            let values = values.map(|bytes| f32::from_le_bytes(*bytes)).collect();
            dict.insert(name, view.shape(), values);
        }
        Ok((dict, document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_document_come_back() -> Result<(), MlError> {
        let mut dict = StateDict::default();
        dict.insert("b", &[2, 1], vec![1.0, -2.5]);
        dict.insert("a", &[1], vec![f32::MIN_POSITIVE]);
        let bytes = dict.to_bytes("config", &vec![3, 4])?;
        assert_eq!(bytes, dict.to_bytes("config", &vec![3, 4])?);
        let (again, document) = StateDict::from_bytes::<Vec<u32>>(&bytes, "config")?;
        assert_eq!((again, document), (dict, vec![3, 4]));
        Ok(())
    }

    #[test]
    fn damaged_bytes_are_refused_in_words() -> Result<(), MlError> {
        let mut dict = StateDict::default();
        dict.insert("a", &[3], vec![1.0; 3]);
        let bytes = dict.to_bytes("config", &1)?;
        for cut in [0, 4, 20, bytes.len() - 1] {
            let result = StateDict::from_bytes::<u32>(&bytes[..cut], "config");
            assert!(matches!(result, Err(MlError::Weights(_))));
        }
        let other = StateDict::from_bytes::<u32>(&bytes, "something else");
        assert!(other.is_err_and(|e| e.to_string().contains("something else")));
        Ok(())
    }
}
