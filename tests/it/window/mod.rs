//! The window without a window: the shell over a state, driven by label and by key.

mod compare;
mod gallery;
mod inspect;
mod keys;
mod look;
mod models;
mod palette;
mod start;
mod tags;
mod train;
mod world;
