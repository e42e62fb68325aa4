//! Quick rating: number keys on whatever is selected, five words, no protocol to keep to.

use std::collections::BTreeSet;

use crate::domain::{
    Aspect, ContentHash, ImageId, Method, Protocol, Shown, Study, StudyId, Trial, Vote, VoteToken,
    VoteValue,
};
use crate::jobs::message::Job;
use crate::state::AppState;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::command::Effect;
use crate::state::notices::Tone;
use crate::state::selection::SelectionCommand;

use super::Moment;
use super::plan;

/// Name under which ratings are kept until the user gives one.
const UNNAMED: &str = "me";

/// What quick rating remembers.
#[derive(Debug, Clone)]
pub struct Quick {
    /// What the number keys rate.
    pub aspect: Aspect,
    /// Who rates.
    pub rater: String,
    /// Whether the focus moves on after a single picture is rated.
    pub moves_on: bool,
    batch: Option<Batch>,
    notice: Option<u64>,
}

/// Records of one key that are on their way to the disk.
#[derive(Debug, Clone)]
struct Batch {
    waiting: BTreeSet<VoteToken>,
    words: String,
}

/// What quick rating can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuickCommand {
    /// Rate another aspect.
    SetAspect(Aspect),
    /// Another rater.
    SetRater(String),
    /// Let the focus move on after a single picture, or stay.
    ToggleMovesOn,
    /// Rate what is selected, 1 to 5.
    Rate(u8),
}

impl Default for Quick {
    fn default() -> Self {
        Self {
            aspect: Aspect::Quality,
            rater: String::new(),
            moves_on: false,
            batch: None,
            notice: None,
        }
    }
}

impl Quick {
    /// The name under which ratings are kept.
    pub fn rater_name(&self) -> &str {
        match self.rater.trim() {
            "" => UNNAMED,
            name => name,
        }
    }

    /// Another project was opened.
    pub(super) fn forget(&mut self) {
        self.batch = None;
        self.notice = None;
    }
}

pub(super) fn update(state: &mut AppState, command: QuickCommand) -> Vec<Effect> {
    let quick = &mut state.rate.quick;
    match command {
        QuickCommand::SetAspect(aspect) => {
            quick.aspect = aspect;
            let words = format!("The keys 1 to 5 rate {aspect} now");
            say(state, words);
        }
        QuickCommand::SetRater(rater) => quick.rater = rater,
        QuickCommand::ToggleMovesOn => quick.moves_on ^= true,
        QuickCommand::Rate(number) => return rate(state, number),
    }
    Vec::new()
}

/// A record was committed: the last of a key's says so.
pub(super) fn voted(state: &mut AppState, vote: &Vote) {
    let Some(batch) = &mut state.rate.quick.batch else {
        return;
    };
    if batch.waiting.remove(&vote.token) && batch.waiting.is_empty() {
        let words = std::mem::take(&mut batch.words);
        state.rate.quick.batch = None;
        say(state, words);
    }
}

/// Says something in the place of what was said before: rating fast must not fill the screen.
fn say(state: &mut AppState, words: String) {
    if let Some(before) = state.rate.quick.notice {
        state.notices.dismiss(before);
    }
    state.notices.say(Tone::Info, words);
    state.rate.quick.notice = state.notices.iter().last().map(|notice| notice.id);
}

fn rate(state: &mut AppState, number: u8) -> Vec<Effect> {
    let Some(project) = &state.project else {
        return Vec::new();
    };
    let word = Method::WORDS.get(usize::from(number).wrapping_sub(1));
    let Some(word) = word else {
        return Vec::new();
    };
    let hashes = chosen(state, project);
    if hashes.is_empty() {
        say(state, "Select a picture with a file to rate it".to_owned());
        return Vec::new();
    }
    let now = state.rate.now;
    let votes = votes(&state.rate.quick, project, (&hashes, number), now);
    let quick = &mut state.rate.quick;
    let name = quick.rater_name();
    let aspect = quick.aspect;
    let words = match hashes.len() {
        1 => format!("Rated {number} {word} for {aspect} by {name}. Ctrl+Z takes it back"),
        num => format!(
            "Rated {} pictures {number} {word} for {aspect} by {name}. Ctrl+Z takes all of it back",
            grouped(num)
        ),
    };
    quick.batch = Some(Batch {
        waiting: votes.iter().map(|vote| vote.token).collect(),
        words,
    });
    if quick.moves_on
        && !state.selection.is_many()
        && let Some(project) = &state.project
    {
        let next = SelectionCommand::Step(1);
        state.selection.update(next, project, &state.view);
    }
    vec![Effect::Submit(Job::QuickVotes(votes))]
}

/// Contents of the selected pictures that have a file, each once.
fn chosen(state: &AppState, project: &Project) -> Vec<ContentHash> {
    let images: Vec<ImageId> = if state.selection.is_many() {
        state.selection.images.iter().copied().collect()
    } else {
        state.selection.focus.into_iter().collect()
    };
    let mut known = BTreeSet::new();
    images
        .into_iter()
        .filter_map(|image| project.row(image)?.record.file.hash())
        .filter(|hash| known.insert(*hash))
        .collect()
}

fn votes(
    quick: &Quick,
    project: &Project,
    (hashes, number): (&[ContentHash], u8),
    now: Moment,
) -> Vec<Vote> {
    let study = project.studies.iter().find(|study| study.is_quick);
    let study = study.cloned().unwrap_or_else(|| first_study(now));
    let num_before = project.votes_of(study.id).len();
    let vote = |(idx, &hash): (usize, &ContentHash)| {
        let trial = Trial {
            index: num_before + idx,
            aspect: quick.aspect,
            what: Shown::One(hash),
            is_training: false,
            is_repeat: false,
        };
        let value = VoteValue::Score(f64::from(number));
        Vote {
            shown_at: now.unix_ms,
            voted_at: now.unix_ms,
            ..plan::record(&study, quick.rater_name(), trial, value)
        }
        .sealed()
    };
    hashes.iter().enumerate().map(vote).collect()
}

/// The quick rating of a project that has none yet; the store gives it its number with the first vote.
fn first_study(now: Moment) -> Study {
    let protocol = Protocol::quick();
    Study {
        id: StudyId(0),
        hash: protocol.hash(),
        protocol,
        created_at: now.unix_ms,
        is_frozen: false,
        is_quick: true,
    }
}
