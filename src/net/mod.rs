//! The net: repositories of models on hub-style servers, and downloads that survive cuts, quits and reboots.
//!
//! Nothing here starts a thread, reads the clock or draws a random number: whoever asks gives a [`Watch`], which says
//! when to stop and does the waiting, and a seed. Secrets are [`Secret`]s and come out of here in one header only.

mod client;
mod disk;
mod download;
mod error;
mod glob;
mod hub;
mod part;
mod patience;
mod ring;
mod secret;
mod select;
mod sum;
pub mod teacher;

pub use client::Client;
pub use client::host_in;
pub use disk::free_bytes;
pub use download::Download;
pub use error::NetError;
pub use glob::matches as matches_glob;
pub use hub::Hub;
pub use hub::RemoteFile;
pub use hub::Repository;
pub use part::PART_ENDING;
pub use part::STATE_ENDING;
pub use patience::Patience;
pub use ring::forget_key;
pub use ring::keep_key;
pub use ring::kept_keys;
pub use secret::Secret;
pub use select::is_safe_name;
pub use select::needed;
pub use sum::sum_of;

use std::time::Duration;

use crate::domain::Interrupted;

/// What a download asks of whoever runs it.
pub trait Watch {
    /// Waits while the work is held; an error once it is to stop.
    ///
    /// # Errors
    /// [`Interrupted`] once it is to stop.
    fn check(&self) -> Result<(), Interrupted>;

    /// Lets this much time go by, or less if the work is to stop.
    ///
    /// # Errors
    /// [`Interrupted`] once it is to stop.
    fn wait(&self, time: Duration) -> Result<(), Interrupted>;

    /// The file in hand has this many bytes on this machine now. It may be fewer than before: a file that changed on
    /// the server starts anew.
    fn has(&self, bytes: u64);

    /// Something worth telling, such as a wait that the server asked for; an empty text takes it back.
    fn tell(&self, words: &str);
}
