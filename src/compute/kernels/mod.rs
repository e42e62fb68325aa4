//! Fused operations with a backward pass of their own, as candle custom operations.
//!
//! candle's own convolution is several times slower than torch's on a CPU, and a batch norm made of elementwise
//! operations reads memory twenty times. These run on all cores, and every backward pass is held against finite
//! differences. They have a CPU form only: on a GPU the models that ship use folded weights and plain operations.

mod attention;
mod batch_norm;
mod columns;
mod conv;
mod conv_tiles;
mod dct;
mod few;
mod large;
mod product;
mod squares;
mod tiles;

pub use attention::{QUERIES, Sees, attention, attention_behind};
pub use batch_norm::{batch_norm_relu, channel_moments};
pub use columns::by_columns;
pub use conv::{ConvSpec, conv2d, conv2d_rounded, linear_rounded};
pub use dct::{BLOCK as DCT_BLOCK, Dct, mean_strengths};
pub use few::{FEW, few};
pub use large::large_product;
pub use product::{Hands, Mat, Put, multiply, product};
pub use squares::means_of_squares;
