//! The window without a window: the shell over a state, driven by label and by key.

mod blind;
mod compare;
mod distil;
mod gallery;
mod inspect;
mod intake;
mod keys;
mod look;
mod models;
mod palette;
mod rate;
mod sitting;
mod start;
mod tags;
mod train;
mod world;
