//! Fine-tuning a local model on a teacher's conversations.
//!
//! A run is known by the name of what comes out, and lives in a folder of its own below the program's data until it is
//! whole; then its adapter stands among the models.

mod adapter;
mod memory;
mod runs;
mod talks;
mod work;

pub(super) use adapter::take;
pub(super) use runs::forget;
pub(super) use runs::list;
pub(super) use work::TuneWish;
pub(super) use work::estimate;
pub(super) use work::tune;
