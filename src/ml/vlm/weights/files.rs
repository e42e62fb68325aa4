//! Safetensors files, a tensor read when it is asked for.
//!
//! Reading by range and not by memory map: pages of a map count as the program's own memory, and a model that is
//! quantised while it is loaded would seem to need its files on top of itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Error, Result, Tensor};
use serde::Deserialize;

use super::Source;

/// Longest header of a file; the format allows no more.
const MAX_HEADER: u64 = 100_000_000;

/// Files that together hold a model.
pub struct SafetensorsFiles {
    paths: Vec<PathBuf>,
    entries: BTreeMap<String, Place>,
}

/// Where a tensor's bytes are.
struct Place {
    file: usize,
    start: u64,
    len: usize,
    shape: Vec<usize>,
    dtype: safetensors::Dtype,
}

#[derive(Deserialize)]
struct Entry {
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl SafetensorsFiles {
    /// Reads the headers; later files win where names repeat.
    ///
    /// # Errors
    /// A file that cannot be read or is no safetensors file, named.
    pub fn open(paths: Vec<PathBuf>) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (file, path) in paths.iter().enumerate() {
            for (name, entry, data) in header(path).map_err(|error| error.with_path(path))? {
                let [start, end] = entry.data_offsets;
                let place = Place {
                    file,
                    start: data + start,
                    len: end.saturating_sub(start) as usize,
                    shape: entry.shape,
                    dtype: entry.dtype,
                };
                entries.insert(name, place);
            }
        }
        Ok(Self { paths, entries })
    }

    fn place(&self, name: &str) -> Result<&Place> {
        match self.entries.get(name) {
            Some(place) => Ok(place),
            None => candle_core::bail!("the weights lack {name}"),
        }
    }
}

impl Source for SafetensorsFiles {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|place| place.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let place = self.place(name)?;
        let path = &self.paths[place.file];
        let bytes = bytes(path, place.start, place.len)
            .map_err(|error| Error::from(error).with_path(path))?;
        let dtype = DType::try_from(place.dtype)?;
        Tensor::from_raw_buffer(&bytes, dtype, &place.shape, &Device::Cpu)
            .map_err(|error| error.context(name.to_owned()).with_path(path))
    }

    fn read_rows(&self, name: &str, start: usize, len: usize) -> Result<Tensor> {
        let place = self.place(name)?;
        let path = &self.paths[place.file];
        let rows = place.shape.first().copied().unwrap_or(1).max(1);
        let row = place.len / rows;
        let bytes = bytes(path, place.start + (start * row) as u64, len * row)
            .map_err(|error| Error::from(error).with_path(path))?;
        let mut shape = place.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = len;
        }
        let dtype = DType::try_from(place.dtype)?;
        Tensor::from_raw_buffer(&bytes, dtype, &shape, &Device::Cpu)
            .map_err(|error| error.context(name.to_owned()).with_path(path))
    }

    fn has_cheap_rows(&self, _: &str) -> bool {
        true
    }

    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
}

fn bytes(path: &Path, start: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Entries of a header, and where the data begin.
fn header(path: &Path) -> Result<Vec<(String, Entry, u64)>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER {
        candle_core::bail!("it does not begin like a safetensors file");
    }
    let mut header = vec![0; len as usize];
    file.read_exact(&mut header)?;
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| Error::Msg(format!("its header cannot be read: {error}")))?;
    let tensors = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    tensors
        .map(|(name, value)| {
            let entry: Entry = serde_json::from_value(value)
                .map_err(|error| Error::Msg(format!("{name} makes no sense: {error}")))?;
            Ok((name, entry, 8 + len))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn tensors_of_two_files_are_read_by_name() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let one = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
        let two = Tensor::new(&[5u8, 6, 7], &Device::Cpu)?;
        let paths = [("a", &one), ("b", &two)].map(|(name, tensor)| {
            let path = folder.path().join(format!("{name}.safetensors"));
            let tensors = HashMap::from([(name, tensor.clone())]);
            candle_core::safetensors::save(&tensors, &path).unwrap();
            path
        });
        let files = SafetensorsFiles::open(paths.to_vec())?;
        assert_eq!(files.names(), ["a", "b"]);
        assert_eq!(files.read("a")?.to_vec2::<f32>()?, one.to_vec2::<f32>()?);
        assert_eq!(files.read_rows("a", 1, 1)?.to_vec2::<f32>()?, [[3.0, 4.0]]);
        assert_eq!(files.read("b")?.to_vec1::<u8>()?, [5, 6, 7]);
        assert!(files.read("c").is_err());
        std::fs::write(&paths[0], b"PK")?;
        let error = SafetensorsFiles::open(paths.to_vec()).err();
        assert!(error.is_some_and(|error| error.to_string().contains("a.safetensors")));
        Ok(())
    }
}
