//! Subjective studies: who is asked what about which picture, in which order, and what they answered.
//!
//! Everything here is a pure function of the protocol, the rater's name and the votes so far, so that a sitting goes
//! on at the same trial after a crash, and that two machines show a rater the same. The order of a study that people
//! took part in must never change, which is why it is drawn by a generator of our own (`dice`) and not by a library's.

mod dice;
mod files;
mod order;
mod pairs;
mod protocol;
mod sitting;
mod tally;
mod vote;

pub use files::RatingsFormat;
pub use order::{Shown, Trial, order};
pub use pairs::{next_pair, next_pair_among, num_pair_trials};
pub use protocol::{
    MAX_PICTURES_A_PROMPT, Method, Presentation, Protocol, ProtocolHash, Study, StudyId, StudyMos,
    StudyPicture, spanning,
};
pub use sitting::{Sitting, next_trial, of_rater};
pub use tally::{Comparison, Retest, SceneTally, Tally, scene_tallies, tally};
pub use vote::{PairChoice, Vote, VoteId, VoteToken, VoteValue, opinions, standing};
