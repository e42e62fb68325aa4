//! Drawing: tokens, widgets, textures, and a file for each screen.
//!
//! Every screen is one function with the same signature: it reads the state, draws, and pushes the commands that the
//! user gave onto `out`. It never changes the state, and it touches no file and no model.

pub mod compare;
pub mod dialogs;
pub mod distil;
pub mod gallery;
pub mod inspect;
pub mod jobs_strip;
pub mod keys;
mod keys_list;
pub mod models;
pub mod notices;
pub mod palette;
pub mod panel;
pub mod rate;
pub mod shell;
pub mod start;
pub mod textures;
pub mod tokens;
pub mod train;
pub mod widgets;
