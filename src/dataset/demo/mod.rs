//! The demo dataset: scenes painted by this program with known defects, rated by simulated people.
//!
//! Everything follows from a seed, bit for bit, on every machine. Nothing in it is a real rating, and the marker
//! file says so (`"synthetic": true`).
//!
//! # Scenes
//! A prompt is composed from facts: a kind of scene (sixteen of them), number and colour of its subjects, time of
//! day, mist, a second thing, a style. Four pretended generators, `demo-alpha` to `demo-delta`, each make a picture
//! of every prompt, with up to three defects and strengths from just visible (0.12) to ruinous (1).
//!
//! # Raters
//! With `cost(d) = weight(d) * strength(d)` and the sums Q, C and A over the planted defects of quality,
//! correspondence and authenticity, the true scores are
//!
//! ```text
//! quality        = 4.7 + t - Q - 0.10 A
//! correspondence = 4.7 + t - C - 0.10 Q
//! authenticity   = 4.7 + t - A - 0.20 Q
//! ```
//!
//! bounded to 0-5, where `t` is a picture's own normal deviation of 0.12. Weights run from 2.0 (wrong style) to 4.2
//! (low resolution, wrong subject). Thirty people have a bias each (normal, deviation 0.3); twenty of them rate a
//! picture: true score + bias + normal noise of deviation 0.45, bounded to 0-5, rounded to a tenth. MOS and standard
//! deviation are those of the twenty ratings.
//!
//! # Split
//! Seven tenths of the prompts are for training, the rest for testing; pictures of one prompt stay together.

mod canvas;
mod defects;
mod dice;
mod located;
mod maths;
mod plan;
mod raters;
mod render;
mod scene;
mod shape;
mod signal;
mod words;
mod write;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::path::PathBuf;

use self::defects::Defect;
pub use self::located::located;
pub use self::located::located_tags;
use crate::domain::Aspect;
use crate::domain::Interrupted;

/// Name of the file that marks a whole demo dataset.
pub const MARKER: &str = "assay-demo.json";

/// Counts changes of what a seed yields; part of the marker.
pub const VERSION: u32 = 4;

/// Which demo to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSettings {
    /// Fixes everything random.
    pub seed: u64,
    /// Number of pictures.
    pub count: usize,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self {
            seed: 2502,
            count: 288,
        }
    }
}

/// Why the demo could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder holds something else.
    #[error("{} is not empty; choose an empty or a new folder for the demo", .0.display())]
    Occupied(PathBuf),
    /// The disk said no.
    #[error("cannot write {}: {error}; check the free space and the permissions, then start again: finished pictures are kept", .path.display())]
    File {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Something generated could not be put into its file format.
    #[error("cannot encode the demo: {0}; this is a fault of the program, please report it")]
    Encode(String),
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl DemoError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// Writes the demo dataset into `dir`: `images/`, `data.csv`, `conversations/` and the marker file.
///
/// The dataset grows in a hidden folder beside `dir` and gets its name when it is whole, so `dir` never holds half
/// a demo; an interrupted run goes on where it stopped. If `dir` holds this very demo already, nothing is done;
/// if it holds the same demo as an earlier program painted it, and nothing besides, it is replaced.
/// `progress` hears pictures done and in all, and stops the work by answering [`Interrupted`].
///
/// # Errors
/// [`DemoError::Occupied`] if `dir` holds anything else; nothing in it is touched.
pub fn write(
    dir: &Path,
    settings: &DemoSettings,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<(), DemoError> {
    write::write(dir, settings, progress)
}

/// Per defect of an aspect its tag and a word that stands in every sentence about it and in no other of that aspect: what
/// a description is searched for. Defects of correspondence are about what a scene shows and have no such word.
pub fn telling_words(aspect: Aspect) -> Vec<(&'static str, &'static str)> {
    let defects: &[Defect] = match aspect {
        Aspect::Quality => &Defect::QUALITY,
        Aspect::Authenticity => &Defect::AUTHENTICITY,
        Aspect::Correspondence => &[],
    };
    let words = |defect: &Defect| (defect.tag(), defect.keyword());
    defects.iter().map(words).collect()
}
