//! GGUF files of llama.cpp: language models, and the vision parts beside them (`mmproj`).

mod decoder;
mod file;
mod vision;

use std::path::Path;
use std::sync::Arc;

use candle_core::Result;

use self::decoder::GgufDecoder;
use self::file::GgufTensors;
use self::vision::GgufVision;
use super::Source;

/// Opens a file under the names of the hub's checkpoints. `decoder` stands before the names of the language model in
/// the backbone, e.g. `llm.`.
///
/// # Errors
/// A file that is no GGUF file, or of a model that is not known here, named.
pub fn open(path: &Path, decoder: &str) -> Result<Arc<dyn Source>> {
    let source = || -> Result<Arc<dyn Source>> {
        let file = GgufTensors::open(path)?;
        Ok(match file.text("general.architecture") {
            Some("clip") => Arc::new(GgufVision::new(file)?),
            _ => Arc::new(GgufDecoder::new(file, decoder)?),
        })
    };
    source().map_err(|error| error.with_path(path))
}
