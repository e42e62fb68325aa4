//! Attention in two forms: of a whole sequence, with a way back, and of new tokens behind a cache.

mod behind;
mod whole;

pub use behind::attention_behind;
pub use whole::{QUERIES, Sees, attention};
