//! The window without a window: the shell over a state, driven by label and by key.

mod blind;
mod compare;
mod gallery;
mod inspect;
mod keys;
mod look;
mod models;
mod palette;
mod rate;
mod start;
mod tags;
mod train;
mod world;
