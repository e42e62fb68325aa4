//! Images of a dataset: who they are, where their file is, what people thought of them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Aspect, AspectMap, Split};

/// A row of the dataset, as numbered by the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageId(pub i64);

/// SHA-256 of a file's bytes: the image's identity when it is moved or renamed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Reads 64 hexadecimal digits; `None` if they are not that.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        Self::from_hex(&hex)
            .ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// What is known of a row's file. Anything but `Present` is never described, scored or trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileState {
    /// The file was read and its header decoded.
    Present {
        /// SHA-256 of the file.
        hash: ContentHash,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// There is no file where the row says.
    Missing {
        /// In words, with what to do.
        reason: String,
    },
    /// There is a file, but it is no picture that Assay can decode.
    Unreadable {
        /// In words, with what to do.
        reason: String,
    },
}

impl FileState {
    /// Whether the picture can be used.
    pub const fn is_present(&self) -> bool {
        matches!(self, Self::Present { .. })
    }

    /// Why the picture cannot be used; `None` where it can.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Present { .. } => None,
            Self::Missing { reason } | Self::Unreadable { reason } => Some(reason),
        }
    }

    /// The content hash of a picture that is there.
    pub const fn hash(&self) -> Option<ContentHash> {
        match self {
            Self::Present { hash, .. } => Some(*hash),
            Self::Missing { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Ground truth of one image and aspect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Mean opinion score on the project's scale.
    pub mos: f64,
    /// Standard deviation of the opinion scores, where the dataset gives it.
    pub std: Option<f64>,
    /// Number of ratings behind the mean, where known.
    pub num_ratings: Option<u32>,
}

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// The row's number in the project.
    pub id: ImageId,
    /// Path relative to the project's image root, with `/` between parts; unique in a project.
    pub path: String,
    /// State of the file.
    pub file: FileState,
    /// The prompt that made the picture; empty where unknown.
    pub prompt: String,
    /// Where the prompt was found ("data.csv", "png:parameters", ...).
    pub prompt_source: String,
    /// The model that made the picture, where known.
    pub generator: Option<String>,
    /// The prompt's style word, where the dataset names one.
    pub style: Option<String>,
    /// Known defects of a generated demo scene, and the like; shown as chips.
    pub tags: Vec<String>,
    /// Ground truth of each aspect.
    pub truth: AspectMap<Option<Truth>>,
    /// Split of each aspect: published splits may differ between aspects.
    pub split: AspectMap<Option<Split>>,
}

impl ImageRecord {
    /// The last part of the path.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The ground-truth MOS of an aspect.
    pub fn mos(&self, aspect: Aspect) -> Option<f64> {
        self.truth.get(aspect).map(|truth| truth.mos)
    }
}

/// Decoded pixels: 8-bit RGB, rows from the top, no padding; `rgb.len() == 3 * width * height`.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Interleaved red, green, blue.
    pub rgb: Arc<[u8]>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}
