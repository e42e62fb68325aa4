//! Step 2: reading what teachers wrote, one text at a time: accept, edit, reject, and on to the next.

use std::collections::BTreeMap;

use crate::domain::{
    Aspect, Description, DescriptionId, ImageId, Judgement, Origin, ReviewAct, ReviewWish, Split,
    TeachFailure, grouped,
};
use crate::jobs::message::Job;
use crate::state::AppState;
use crate::state::command::Effect;
use crate::state::command::Screen;
use crate::state::project::Project;
use crate::state::project::Row;
use crate::state::selection::SelectionCommand;

use super::Step;
use super::teacher;

/// Reasons that are offered for a rejection, with what they mean.
pub const REASONS: [&str; 4] = [
    "Not in the picture",
    "About another aspect",
    "Gives the rating away",
    "Says nothing",
];

/// Which texts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Those of which this was said.
    Of(Judgement),
    /// Pictures that no teacher has described although one was asked.
    Failed,
    /// All texts, and no failures.
    All,
}

impl Filter {
    /// All of them, in the order of the chips.
    pub const ALL: [Self; 6] = [
        Self::Of(Judgement::Unreviewed),
        Self::Of(Judgement::Accepted),
        Self::Of(Judgement::Edited),
        Self::Of(Judgement::Rejected),
        Self::Failed,
        Self::All,
    ];

    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Of(judgement) => judgement.title(),
            Self::Failed => "Failed",
            Self::All => "All",
        }
    }
}

/// What is listed: a text, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Picture.
    pub image: ImageId,
    /// Aspect.
    pub aspect: Aspect,
    /// The text; `None` where the teacher failed.
    pub description: Option<DescriptionId>,
}

/// A rejection that waits for its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejection {
    /// What was typed.
    pub reason: String,
    /// Whether the field has got the keyboard once.
    pub is_focused: bool,
}

/// What step 2 remembers.
#[derive(Debug, Clone)]
pub struct ReviewState {
    /// Which texts are listed.
    pub filter: Filter,
    /// Only this aspect.
    pub aspect: Option<Aspect>,
    /// The list, by picture and aspect.
    pub items: Vec<Item>,
    /// Texts in all under each of [`Filter::ALL`], of the aspect chosen.
    pub counts: [usize; 6],
    /// The one in hand.
    pub current: Option<Item>,
    /// Where it stood in the list when it was last seen there.
    place: usize,
    /// Texts that are being edited, also those left for another: nothing typed is lost.
    pub drafts: BTreeMap<DescriptionId, String>,
    /// Whether the text in hand is shown as a field.
    pub is_editing: bool,
    /// Whether the field has got the keyboard once.
    pub is_field_focused: bool,
    /// The rejection that waits for its reason.
    pub rejection: Option<Rejection>,
    /// Whether earlier forms of the text are shown.
    pub is_history_unfolded: bool,
}

impl Default for ReviewState {
    fn default() -> Self {
        Self {
            filter: Filter::Of(Judgement::Unreviewed),
            aspect: None,
            items: Vec::new(),
            counts: [0; 6],
            current: None,
            place: 0,
            drafts: BTreeMap::new(),
            is_editing: false,
            is_field_focused: false,
            rejection: None,
            is_history_unfolded: false,
        }
    }
}

/// What step 2 can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewCommand {
    /// List others.
    SetFilter(Filter),
    /// List one aspect, or all.
    SetAspect(Option<Aspect>),
    /// Go so many places on.
    Step(isize),
    /// It is right as it stands; on to the next.
    Accept,
    /// Change it.
    Edit,
    /// Other words.
    SetDraft(String),
    /// Keep the new words; on to the next.
    SaveDraft,
    /// Leave it as it was.
    DropDraft,
    /// It is wrong; a reason is asked for.
    Reject,
    /// Other words for the reason.
    SetReason(String),
    /// The reason's field has the keyboard.
    ReasonFocused,
    /// The text's field has the keyboard.
    FieldFocused,
    /// Reject for this reason; on to the next.
    RejectFor(String),
    /// Leave the question for a reason.
    KeepIt,
    /// Say nothing of it any more: back to the teacher's own words.
    Reset,
    /// Accept every unreviewed text of the list.
    AcceptAll,
    /// Show or hide earlier forms.
    ToggleHistory,
    /// Ask the teacher again about the pictures that failed.
    AskAgain,
}

/// Carries a command out.
pub(super) fn update(state: &mut AppState, command: ReviewCommand) -> Vec<Effect> {
    match command {
        ReviewCommand::SetFilter(filter) => {
            state.distil.review.filter = filter;
            state.distil.review.place = 0;
            state.distil.review.current = None;
            refresh(state);
        }
        ReviewCommand::SetAspect(aspect) => {
            state.distil.review.aspect = aspect;
            refresh(state);
        }
        ReviewCommand::Step(by) => step(state, by),
        ReviewCommand::Accept => return say(state, ReviewAct::Accept),
        ReviewCommand::Edit => edit(state),
        ReviewCommand::SetDraft(text) => {
            if let Some(id) = current_text(state).map(|text| text.id) {
                state.distil.review.drafts.insert(id, text);
            }
        }
        ReviewCommand::SaveDraft => return save_draft(state),
        ReviewCommand::DropDraft => drop_draft(state),
        ReviewCommand::Reject => {
            let review = &mut state.distil.review;
            let is_open = review.rejection.is_some();
            let is_text = review
                .current
                .is_some_and(|item| item.description.is_some());
            review.rejection = (is_text && !is_open).then(Rejection::default);
        }
        ReviewCommand::SetReason(reason) => {
            if let Some(rejection) = &mut state.distil.review.rejection {
                rejection.reason = reason;
            }
        }
        ReviewCommand::ReasonFocused => {
            if let Some(rejection) = &mut state.distil.review.rejection {
                rejection.is_focused = true;
            }
        }
        ReviewCommand::FieldFocused => state.distil.review.is_field_focused = true,
        ReviewCommand::RejectFor(reason) => {
            let reason = match reason.trim() {
                "" => "No reason given".to_owned(),
                reason => reason.to_owned(),
            };
            return say(state, ReviewAct::Reject(reason));
        }
        ReviewCommand::KeepIt => state.distil.review.rejection = None,
        ReviewCommand::Reset => return say(state, ReviewAct::Reset),
        ReviewCommand::AcceptAll => return accept_all(state),
        ReviewCommand::ToggleHistory => state.distil.review.is_history_unfolded ^= true,
        ReviewCommand::AskAgain => return ask_again(state),
    }
    Vec::new()
}

/// Lists anew. The text in hand stays in hand while it is listed; else the one that took its place does.
pub(super) fn refresh(state: &mut AppState) {
    let Some(project) = &state.project else {
        state.distil.review.items.clear();
        state.distil.review.current = None;
        return;
    };
    let review = &mut state.distil.review;
    let all = items(project, review.aspect);
    let is_listed = |filter: Filter, item: &Item| match (filter, item.description) {
        (Filter::Failed, None) | (Filter::All, Some(_)) => true,
        (Filter::Failed, Some(_)) | (_, None) => false,
        (Filter::Of(judgement), Some(id)) => project.reviews.verdict(id) == judgement,
    };
    review.counts =
        Filter::ALL.map(|filter| all.iter().filter(|item| is_listed(filter, item)).count());
    review.items = all
        .into_iter()
        .filter(|item| is_listed(review.filter, item))
        .collect();
    let place = review
        .current
        .and_then(|current| review.items.iter().position(|item| *item == current));
    let place = place.unwrap_or_else(|| review.place.min(review.items.len().saturating_sub(1)));
    go_to(state, place);
}

/// Lists anew where that can be seen.
pub(in crate::state) fn refresh_if_shown(state: &mut AppState) {
    if state.screen == Screen::Distil {
        refresh(state);
    }
}

/// Every text and failure of an aspect, or of all, by picture and aspect, newest text last.
fn items(project: &Project, aspect: Option<Aspect>) -> Vec<Item> {
    let mut items = Vec::new();
    let failures = &project.reviews.failures;
    let failed: std::collections::BTreeSet<(ImageId, Aspect)> = failures
        .iter()
        .map(|failure| (failure.image, failure.aspect))
        .collect();
    for row in &project.rows {
        for of in Aspect::ALL {
            if aspect.is_some_and(|only| only != of) {
                continue;
            }
            let image = row.record.id;
            let texts = row.descriptions.get(of).iter();
            let taught = texts.filter(|text| text.origin == Origin::Teacher);
            items.extend(taught.map(|text| Item {
                image,
                aspect: of,
                description: Some(text.id),
            }));
            if failed.contains(&(image, of)) {
                items.push(Item {
                    image,
                    aspect: of,
                    description: None,
                });
            }
        }
    }
    items
}

/// A draft that says what the text says already is none.
pub(super) fn drop_idle_draft(state: &mut AppState) {
    let text = current_text(state).map(|text| (text.id, text.text.clone()));
    if let Some((id, text)) = text
        && state.distil.review.drafts.get(&id) == Some(&text)
    {
        state.distil.review.drafts.remove(&id);
    }
}

/// Takes the item at a place in hand, and its picture into the selection.
fn go_to(state: &mut AppState, place: usize) {
    if state.distil.review.items.get(place).copied() != state.distil.review.current {
        drop_idle_draft(state);
    }
    let review = &mut state.distil.review;
    let next = review.items.get(place).copied();
    if next != review.current {
        review.current = next;
        review.rejection = None;
        review.is_field_focused = false;
        review.is_editing = next
            .and_then(|item| item.description)
            .is_some_and(|id| review.drafts.contains_key(&id));
    }
    review.place = place;
    let is_shown = state.distil.step == Step::Review;
    if let (Some(item), Some(project)) = (next, &state.project)
        && is_shown
        && state.selection.focus != Some(item.image)
    {
        let only = SelectionCommand::Only(item.image);
        state.selection.update(only, project, &state.view);
        state.inspect.is_prompt_unfolded = false;
        state.recount();
    }
}

fn step(state: &mut AppState, by: isize) {
    let review = &state.distil.review;
    let last = review.items.len().saturating_sub(1);
    let place = review.place.saturating_add_signed(by).min(last);
    go_to(state, place);
}

/// The row and text in hand.
pub fn current(state: &AppState) -> Option<(&Row, Item)> {
    let item = state.distil.review.current?;
    Some((state.row(item.image)?, item))
}

/// The text in hand.
pub fn current_text(state: &AppState) -> Option<&Description> {
    let (row, item) = current(state)?;
    let mut texts = row.descriptions.get(item.aspect).iter();
    texts.find(|text| Some(text.id) == item.description)
}

/// Why there is no text in hand, where the teacher failed.
pub fn current_failure(state: &AppState) -> Option<&TeachFailure> {
    let item = state.distil.review.current?;
    let project = state.project.as_ref()?;
    let mut failures = project.reviews.failures.iter();
    failures.find(|failure| {
        item.description.is_none() && (failure.image, failure.aspect) == (item.image, item.aspect)
    })
}

/// The opinion score that may stand beside the text: of pictures that are learned from, and of no others, so that nobody
/// edits a description of a test picture with its score before their eyes.
pub fn shown_mos(row: &Row, aspect: Aspect) -> Option<f64> {
    let split = |aspect: Aspect| *row.record.split.get(aspect);
    let is_tested = Aspect::ALL
        .into_iter()
        .any(|aspect| split(aspect) == Some(Split::Test));
    let is_learned = matches!(split(aspect), Some(Split::Train));
    row.record.mos(aspect).filter(|_| is_learned && !is_tested)
}

fn job(state: &AppState, wishes: Vec<ReviewWish>) -> Vec<Effect> {
    if wishes.is_empty() {
        return Vec::new();
    }
    let author = state.rate.quick.rater.trim().to_owned();
    vec![Effect::Submit(Job::Review { wishes, author })]
}

/// Says something of the text in hand and goes on to the next.
fn say(state: &mut AppState, act: ReviewAct) -> Vec<Effect> {
    let Some(description) = current_text(state).map(|text| text.id) else {
        return Vec::new();
    };
    let is_reset = act == ReviewAct::Reset;
    let effects = job(state, vec![ReviewWish { description, act }]);
    state.distil.review.drafts.remove(&description);
    state.distil.review.is_editing = false;
    state.distil.review.rejection = None;
    let stays = state.distil.review.filter == Filter::All;
    // From every other list the text goes once it is saved, and the next one takes its place.
    if stays && !is_reset {
        step(state, 1);
    }
    effects
}

fn edit(state: &mut AppState) {
    if let Some((id, text)) = current_text(state).map(|text| (text.id, text.text.clone())) {
        let review = &mut state.distil.review;
        review.drafts.entry(id).or_insert(text);
        review.is_editing = true;
        review.is_field_focused = false;
        review.rejection = None;
    }
}

fn save_draft(state: &mut AppState) -> Vec<Effect> {
    let id = current_text(state).map(|text| text.id);
    let draft = id.and_then(|id| state.distil.review.drafts.get(&id).cloned());
    match draft {
        Some(text) if !text.trim().is_empty() => say(state, ReviewAct::Edit(text)),
        _ => Vec::new(),
    }
}

fn drop_draft(state: &mut AppState) {
    if let Some(id) = current_text(state).map(|text| text.id) {
        state.distil.review.drafts.remove(&id);
    }
    state.distil.review.is_editing = false;
}

fn accept_all(state: &mut AppState) -> Vec<Effect> {
    let Some(project) = &state.project else {
        return Vec::new();
    };
    let listed = state.distil.review.items.iter();
    let wishes = listed
        .filter_map(|item| item.description)
        .filter(|id| project.reviews.verdict(*id) == Judgement::Unreviewed)
        .map(|description| ReviewWish {
            description,
            act: ReviewAct::Accept,
        })
        .collect();
    job(state, wishes)
}

/// Asks the teacher of step 1 again about the pictures of the list.
fn ask_again(state: &AppState) -> Vec<Effect> {
    let mut images: Vec<ImageId> = state
        .distil
        .review
        .items
        .iter()
        .filter(|item| item.description.is_none())
        .map(|item| item.image)
        .collect();
    images.dedup();
    if images.is_empty() || teacher::job(state).is_some() {
        return Vec::new();
    }
    let mut request = teacher::request(state);
    request.images = images;
    vec![Effect::Submit(Job::Teach(request))]
}

/// How far the step is, in a few words.
pub(super) fn status(state: &AppState) -> String {
    let counts = state.distil.review.counts;
    let count = |filter: Filter| {
        let at = Filter::ALL.iter().position(|known| *known == filter);
        at.map_or(0, |at| counts[at])
    };
    match (count(Filter::All), count(Filter::Of(Judgement::Unreviewed))) {
        (0, _) => "Nothing to read yet".to_owned(),
        (_, 0) => "All read".to_owned(),
        (all, unread) => format!("{} of {} to read", grouped(unread), grouped(all)),
    }
}
