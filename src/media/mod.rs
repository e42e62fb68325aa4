//! Decoding, thumbnails, and prompts read out of image files.
//!
//! Everything here takes files as they come: cut off, empty, wrongly named, enormous. What cannot be used becomes
//! an error or a [`FileState`](crate::domain::FileState) whose words say what is wrong and what to do; nothing
//! panics and nothing allocates beyond the stated budgets. User files are only read, never written.

mod decode;
mod encode;
mod entropy;
mod error;
mod probe;
mod prompt;
mod resize;
mod whole;

pub use decode::MAX_DECODER_BYTES;
pub use decode::MAX_FILE_BYTES;
pub use decode::MAX_PIXELS;
pub use decode::decode;
pub use decode::load;
pub use decode::load_and_hash_for_model;
pub use decode::load_for_model;
pub use encode::encode_jpeg;
pub use encode::encode_png;
pub use error::MediaError;
pub use probe::Probe;
pub use probe::hash_bytes;
pub use probe::hash_file;
pub use probe::inspect;
pub use probe::probe;
pub use prompt::prompt_in_bytes;
pub use prompt::prompt_in_file;
pub use prompt::prompt_in_sidecar;
pub use resize::thumbnail;

/// File name endings of pictures that Assay decodes, lower case.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];
