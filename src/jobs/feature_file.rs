//! Features outside a project: a safetensors file of hidden states, and what a predictor makes of one.
//!
//! Tensors are written and read one after the other, so that a file may be larger than memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use half::f16;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::domain::Features;
use crate::domain::Halves;
use crate::domain::PredictorCard;
use crate::jobs::error::JobError;
use crate::jobs::home::make_parent;

/// What the tensors of hidden states are called: alone, or before `/ASPECT/PATH`.
pub(super) const HIDDEN: &str = "hidden";

/// Longest header that is read, as the format has it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The score of one picture's features in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Path of the picture as the file has it; empty for a file of one picture.
    pub name: String,
    /// Score on the scale of the predictor's card.
    pub score: f64,
}

/// Kinds of numbers that are written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    F16,
    F32,
    I64,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::F32 => "F32",
            Self::I64 => "I64",
        }
    }
}

/// A file that is being written: its tensors stand in a file of their own until the header, which comes first, is known.
pub(super) struct FeatureWriter {
    out: PathBuf,
    data: BufWriter<NamedTempFile>,
    header: Map<String, Value>,
    len: u64,
}

impl FeatureWriter {
    /// Begins a file; nothing stands at `out` before it is whole.
    pub(super) fn create(out: &Path) -> Result<Self, JobError> {
        make_parent(out)?;
        let data = NamedTempFile::new_in(folder_of(out)).map_err(|error| fault(out, error))?;
        Ok(Self {
            out: out.to_path_buf(),
            data: BufWriter::new(data),
            header: Map::new(),
            len: 0,
        })
    }

    /// Adds a tensor.
    pub(super) fn push(
        &mut self,
        name: &str,
        kind: Kind,
        shape: &[usize],
        bytes: &[u8],
    ) -> Result<(), JobError> {
        self.data
            .write_all(bytes)
            .map_err(|error| fault(&self.out, error))?;
        let end = self.len + bytes.len() as u64;
        self.header.insert(
            name.to_owned(),
            json!({ "dtype": kind.name(), "shape": shape, "data_offsets": [self.len, end] }),
        );
        self.len = end;
        Ok(())
    }

    /// Adds hidden states in half precision.
    pub(super) fn push_features(
        &mut self,
        name: &str,
        features: &Features,
    ) -> Result<(), JobError> {
        let values = features.values.iter();
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        let shape = [features.num_tokens, features.hidden];
        self.push(name, Kind::F16, &shape, &bytes)
    }

    /// Puts the header before the tensors, with what they are in words, and the whole in its place.
    pub(super) fn finish(mut self, facts: &BTreeMap<&str, String>) -> Result<(), JobError> {
        self.header.insert("__metadata__".to_owned(), json!(facts));
        let out = self.out.clone();
        self.write_whole().map_err(|error| fault(&out, error))
    }

    fn write_whole(self) -> io::Result<()> {
        let mut header = serde_json::to_vec(&Value::Object(self.header))?;
        // Tensors begin at a multiple of eight, so that the file can be mapped into memory as it is.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut whole = BufWriter::new(NamedTempFile::new_in(folder_of(&self.out))?);
        whole.write_all(&(header.len() as u64).to_le_bytes())?;
        whole.write_all(&header)?;
        let mut data = self
            .data
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        data.rewind()?;
        io::copy(&mut data, &mut whole)?;
        let whole = whole.into_inner().map_err(io::IntoInnerError::into_error)?;
        whole.as_file().sync_all()?;
        whole.persist(&self.out)?;
        Ok(())
    }
}

fn folder_of(out: &Path) -> &Path {
    let folder = out.parent().filter(|path| !path.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn fault(out: &Path, source: io::Error) -> JobError {
    JobError::File {
        action: "write the features (check the folder and the space on its disk)",
        source,
        path: out.to_path_buf(),
    }
}

/// A tensor as the header has it.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// A file that is read.
pub(super) struct FeatureReader {
    path: PathBuf,
    file: BufReader<File>,
    data_start: u64,
    entries: BTreeMap<String, Entry>,
    facts: BTreeMap<String, String>,
}

impl FeatureReader {
    pub(super) fn open(path: &Path) -> Result<Self, JobError> {
        let read = |source| JobError::File {
            action: "read the features",
            source,
            path: path.to_path_buf(),
        };
        let mut file = BufReader::new(File::open(path).map_err(read)?);
        let mut len = [0; 8];
        file.read_exact(&mut len).map_err(read)?;
        let len = u64::from_le_bytes(len);
        if len > MAX_HEADER_BYTES {
            return Err(malformed(path, "it does not begin like a safetensors file"));
        }
        let mut header = vec![0; len as usize];
        file.read_exact(&mut header).map_err(read)?;
        let header: Map<String, Value> = serde_json::from_slice(&header)
            .map_err(|error| malformed(path, &format!("its header cannot be read: {error}")))?;
        let mut reader = Self {
            path: path.to_path_buf(),
            file,
            data_start: 8 + len,
            entries: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        for (name, value) in header {
            let taken = if name == "__metadata__" {
                serde_json::from_value(value).map(|facts| reader.facts = facts)
            } else {
                serde_json::from_value(value).map(|entry| {
                    reader.entries.insert(name.clone(), entry);
                })
            };
            taken.map_err(|error| malformed(path, &format!("{name} makes no sense: {error}")))?;
        }
        Ok(reader)
    }

    /// Names of the hidden states that are about an aspect: the only ones of their file, or those that name it.
    pub(super) fn names(&self, card: &PredictorCard) -> Result<Vec<String>, JobError> {
        if self.entries.contains_key(HIDDEN) {
            return Ok(vec![HIDDEN.to_owned()]);
        }
        let start = format!("{HIDDEN}/{}/", card.aspect);
        let names: Vec<String> = self
            .entries
            .keys()
            .filter(|name| name.starts_with(&start))
            .cloned()
            .collect();
        if names.is_empty() {
            let reason = format!(
                "expected a tensor {HIDDEN}, or tensors {start}PATH as `assay features` writes them"
            );
            return Err(malformed(&self.path, &reason));
        }
        Ok(names)
    }

    /// The features must be of the model and wording that the card names, as far as the file says what they are of.
    /// Answers whether it says both.
    pub(super) fn check(&self, card: &PredictorCard) -> Result<bool, JobError> {
        let fact = |name: &str| self.facts.get(name);
        let (sha256, preset) = (fact("model_sha256"), fact("preset"));
        if sha256.is_none_or(|sha256| *sha256 == card.model.sha256)
            && preset.is_none_or(|preset| *preset == card.preset)
        {
            return Ok(sha256.is_some() && preset.is_some());
        }
        let or = |fact: Option<&String>, other: &str| {
            fact.map_or_else(|| other.to_owned(), String::clone)
        };
        Err(JobError::PredictorOfOther {
            predictor: card.name.clone(),
            wants: format!("model {} with the wording {}", card.model.name, card.preset),
            has: format!(
                "model {} with the wording {}",
                or(fact("model"), "unknown"),
                or(preset, "unknown")
            ),
        })
    }

    /// One tensor of hidden states.
    pub(super) fn features(&mut self, name: &str) -> Result<Features, JobError> {
        let wrong = |reason: &str| malformed(&self.path, &format!("{name}: {reason}"));
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| wrong("there is no such tensor"))?;
        let width = match entry.dtype.as_str() {
            "F16" => 2,
            "F32" => 4,
            other => return Err(wrong(&format!("expected F16 or F32, got {other}"))),
        };
        let [num_tokens, hidden] = entry.shape[..] else {
            return Err(wrong("expected two dimensions, tokens and width"));
        };
        let [start, end] = entry.data_offsets;
        let num_bytes = num_tokens
            .checked_mul(hidden)
            .and_then(|count| count.checked_mul(width));
        if end.checked_sub(start) != num_bytes.map(|count| count as u64) {
            return Err(wrong("its shape does not fit its bytes"));
        }
        let mut bytes = Vec::new();
        let at = SeekFrom::Start(self.data_start.saturating_add(start));
        let read = self.file.seek(at).and_then(|_| {
            let mut part = self.file.by_ref().take(end - start);
            part.read_to_end(&mut bytes)
        });
        if read.ok().map(|count| count as u64) != Some(end - start) {
            return Err(wrong("the file is cut off before its end; copy it again"));
        }
        let values: Halves = match width {
            2 => bytes
                .chunks_exact(2)
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]))
                .collect(),
            _ => bytes
                .chunks_exact(4)
                .map(|four| f16::from_f32(f32::from_le_bytes([four[0], four[1], four[2], four[3]])))
                .collect(),
        };
        Ok(Features {
            num_tokens,
            hidden,
            values,
        })
    }
}

fn malformed(path: &Path, reason: &str) -> JobError {
    JobError::Malformed {
        what: "the file of features",
        reason: reason.to_owned(),
        path: path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        Features {
            num_tokens: 3,
            hidden: 2,
            values: (0..6).map(|at| f16::from_f32(at as f32 / 4.0)).collect(),
        }
    }

    #[test]
    fn features_come_back_and_a_cut_file_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/a.safetensors");
        let mut writer = FeatureWriter::create(&out).unwrap();
        writer
            .push_features("hidden/quality/b.png", &features())
            .unwrap();
        writer
            .push("ids", Kind::I64, &[1], &7_i64.to_le_bytes())
            .unwrap();
        assert!(!out.exists(), "nothing stands there before it is whole");
        writer
            .finish(&BTreeMap::from([("model", "mini".to_owned())]))
            .unwrap();
        let mut reader = FeatureReader::open(&out).unwrap();
        assert_eq!(reader.features("hidden/quality/b.png").unwrap(), features());
        assert_eq!(reader.facts["model"], "mini");
        assert!(reader.features("ids").is_err());

        let bytes = std::fs::read(&out).unwrap();
        assert!(safetensors::SafeTensors::deserialize(&bytes).is_ok());
        for end in 0..bytes.len() - 8 {
            std::fs::write(&out, &bytes[..end]).unwrap();
            let read = FeatureReader::open(&out)
                .and_then(|mut reader| reader.features("hidden/quality/b.png"));
            assert!(read.is_err() || end > bytes.len() - 20, "cut at {end}");
        }
        let left = std::fs::read_dir(folder.path().join("new"))
            .unwrap()
            .count();
        assert_eq!(left, 1, "no temporary file stays");
    }
}
