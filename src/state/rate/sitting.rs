//! A sitting: one rater before one study, as a small state machine.
//!
//! It knows no clock, no window and no disk. Times are passed in; votes go out as jobs and count once they come back
//! committed. Where it stands follows from the committed votes alone, so that a sitting that was left, or cut off by a
//! crash, goes on at the same trial.

use std::collections::BTreeMap;

use crate::domain::study;
use crate::domain::study::Presentation;
use crate::domain::{
    Aspect, ContentHash, FileState, ImageId, Method, Protocol, Study, Trial, Vote, VoteToken,
    VoteValue,
};
use crate::state::Project;

use super::Moment;
use super::plan;

/// Milliseconds after which a vote that was not answered for is said to be unsaved.
pub const PATIENCE_MS: u64 = 3_000;

/// What the rater sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A name is asked for.
    Name,
    /// What is asked of the rater, before the first trial.
    Instructions,
    /// Another question than before, said on a page of its own.
    Question(Aspect),
    /// A trial.
    Trial(Box<Showing>),
    /// A break is due.
    Break {
        /// When it is over, in milliseconds since 1970-01-01 UTC.
        until: i64,
    },
    /// Nothing is left to rate.
    Thanks,
}

/// The trial on screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Showing {
    /// The trial.
    pub trial: Trial,
    /// Its pictures: one, or left and right.
    pub images: Vec<ImageId>,
    /// The prompt, where the study shows it.
    pub prompt: Option<String>,
    /// When the pictures were first on screen.
    pub shown_at: Option<Moment>,
    /// What they are shown on.
    pub display: Display,
    /// The largest zoom so far, in screen pixels a picture pixel.
    zoom_max: f64,
    /// Where the continuous scale's handle stands; nowhere at first, because a start would be a hint.
    pub slider: Option<f64>,
    /// Whether the next digit typed is the tenth.
    is_typing: bool,
}

/// What pictures are shown on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Display {
    /// Screen pixels per picture pixel, the larger of a pair.
    pub zoom: f64,
    /// Width and height of the screen in pixels.
    pub size_px: [u32; 2],
    /// Screen pixels per point.
    pub dpi_scale: f64,
    /// Whether the window is too small for the size that the study asks for.
    pub is_shrunk: bool,
}

/// A record that is on its way to the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The record.
    pub vote: Vote,
    /// When it was handed in.
    pub since: Moment,
    /// Why it could not be saved.
    pub failure: Option<String>,
}

/// A picture that could not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The picture.
    pub picture: ContentHash,
    /// Why.
    pub reason: String,
}

/// One rater before one study.
#[derive(Debug, Clone, PartialEq)]
pub struct Sitting {
    /// The study.
    pub study: Study,
    /// The rater's name.
    pub rater: String,
    /// What is on screen.
    pub step: Step,
    /// A record that is not committed yet.
    pub pending: Option<Pending>,
    /// Trials with a standing answer.
    pub num_done: usize,
    /// Trials in all.
    pub num_trials: usize,
    /// Pictures that could not be shown.
    pub skipped: Vec<Skipped>,
    /// Pictures that may come next, the likeliest first.
    pub ahead: Vec<ImageId>,
    /// The prompt that needs most room, where prompts are shown: the layout is made for it once.
    pub longest_prompt: String,
    /// Screen pixels that the tallest picture needs: its room is kept, however long a prompt is.
    pub tallest_px: u32,
    upcoming: Option<Aspect>,
    has_answer: bool,
    order: Vec<Trial>,
    session: u32,
}

/// What a sitting asks of the open project.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) project: &'a Project,
    /// Pictures that could not be decoded, with the reason.
    pub(super) failures: &'a BTreeMap<ImageId, String>,
    pub(super) now: Moment,
}

impl Desk<'_> {
    /// The picture with this content, if it can be shown.
    pub(super) fn picture(self, hash: ContentHash) -> Result<ImageId, String> {
        let row = self.project.row_with(hash).ok_or(
            "no file of the project has this content; put it back or use Find moved pictures",
        )?;
        match self.failures.get(&row.record.id) {
            Some(reason) => Err(reason.clone()),
            None => Ok(row.record.id),
        }
    }

    /// A picture's own height in pixels, where it is there.
    fn height(self, hash: ContentHash) -> Option<u32> {
        match self.project.row_with(hash)?.record.file {
            FileState::Present { height, .. } => Some(height),
            FileState::Missing { .. } | FileState::Unreadable { .. } => None,
        }
    }
}

impl Sitting {
    /// A sitting that asks for the rater's name.
    pub(super) fn new(study: Study) -> Self {
        Self {
            longest_prompt: plan::longest_prompt(&study.protocol),
            study,
            rater: String::new(),
            step: Step::Name,
            pending: None,
            num_done: 0,
            num_trials: 0,
            skipped: Vec::new(),
            ahead: Vec::new(),
            tallest_px: 0,
            upcoming: None,
            has_answer: false,
            order: Vec::new(),
            session: 1,
        }
    }

    /// What raters see and are asked.
    pub const fn protocol(&self) -> &Protocol {
        &self.study.protocol
    }

    /// The aspect of the trial that comes first.
    pub const fn first_aspect(&self) -> Option<Aspect> {
        self.upcoming
    }

    /// The trial on screen.
    pub fn showing(&self) -> Option<&Showing> {
        match &self.step {
            Step::Trial(showing) => Some(showing.as_ref()),
            _ => None,
        }
    }

    /// How large pictures are shown.
    pub const fn presentation(&self) -> Presentation {
        self.study.protocol.presentation
    }

    /// Milliseconds that the pictures have still to be looked at; `None` before they are on screen.
    pub fn dwell_left(&self, now: Moment) -> Option<u64> {
        let shown_at = self.showing()?.shown_at?;
        let dwell = u64::from(self.study.protocol.min_dwell_ms);
        Some(dwell.saturating_sub(now.since(shown_at)))
    }

    /// Whether an answer would be taken now.
    pub fn is_open(&self, now: Moment) -> bool {
        self.pending.is_none() && self.dwell_left(now) == Some(0)
    }

    /// Whether the last answer can be taken back.
    pub const fn can_take_back(&self) -> bool {
        self.pending.is_none() && self.has_answer
    }

    /// The name is given: what is asked comes next, or the end where nothing is left.
    pub(super) fn begin(&mut self, desk: Desk<'_>) {
        let rater = self.rater.trim().to_owned();
        if rater.is_empty() {
            return;
        }
        self.rater = rater;
        self.order = study::order(self.protocol(), &self.rater);
        self.num_trials = match self.protocol().method {
            Method::Pairs => study::num_pair_trials(self.protocol()),
            Method::Acr5 | Method::Continuous => self.order.len(),
        };
        self.skipped.clear();
        self.tallest_px = plan::tallest_px(self.protocol(), |hash| desk.height(hash));
        self.step = Step::Instructions;
        self.count(desk);
        self.look_ahead(desk);
        self.upcoming = self.next(desk).map(|(trial, _)| trial.aspect);
        if self.upcoming.is_none() {
            self.step = Step::Thanks;
        }
    }

    /// Another rater takes the seat.
    pub(super) fn next_rater(&mut self) {
        *self = Self::new(self.study.clone());
    }

    /// Reads on: the trial after the instructions, after a new question, or after a break that is over.
    pub(super) fn go_on(&mut self, desk: Desk<'_>) {
        match self.step {
            Step::Break { until } if desk.now.unix_ms < until => {}
            Step::Instructions | Step::Question(_) | Step::Break { .. } => self.advance(desk),
            Step::Name | Step::Trial(_) | Step::Thanks => {}
        }
    }

    /// The pictures of a trial are on screen.
    pub(super) fn shown(&mut self, index: usize, display: Display, now: Moment) {
        if let Step::Trial(showing) = &mut self.step
            && showing.trial.index == index
        {
            showing.shown_at.get_or_insert(now);
            showing.zoom_max = showing.zoom_max.max(display.zoom);
            showing.display = display;
        }
    }

    /// An answer; the vote to be committed, if one is taken now.
    pub(super) fn answer(&mut self, value: VoteValue, now: Moment) -> Option<Vote> {
        if !self.is_open(now) {
            return None;
        }
        let showing = self.showing()?;
        let vote = self.vote(showing, value, now)?;
        vote.check(self.protocol(), self.study.is_quick).ok()?;
        Some(self.hand_in(vote, now))
    }

    /// The answer at which the handle of the continuous scale stands.
    pub(super) fn confirm(&mut self, now: Moment) -> Option<Vote> {
        let score = self.showing()?.slider?;
        self.answer(VoteValue::Score(score), now)
    }

    /// Puts the handle of the continuous scale somewhere.
    pub(super) fn slide_to(&mut self, score: f64) {
        let scale = self.protocol().method.scale();
        if let Step::Trial(showing) = &mut self.step
            && self.pending.is_none()
        {
            showing.slider = Some(rounded(score).clamp(scale.min, scale.max));
            showing.is_typing = false;
        }
    }

    /// Moves the handle by so many tenths; from nowhere it comes to the middle.
    pub(super) fn nudge(&mut self, tenths: i32) {
        let scale = self.protocol().method.scale();
        let middle = f64::midpoint(scale.min, scale.max);
        if let Some(showing) = self.showing() {
            let score = showing
                .slider
                .map_or(middle, |score| score + f64::from(tenths) / 10.0);
            self.slide_to(score);
        }
    }

    /// A digit is typed: the first is the whole part, the second the tenth.
    pub(super) fn digit(&mut self, digit: u8) {
        let Some(showing) = self.showing() else {
            return;
        };
        let digit = f64::from(digit);
        let is_second = showing.is_typing;
        let whole = showing.slider.map_or(0.0, f64::floor);
        let scale = self.protocol().method.scale();
        if is_second {
            self.slide_to(whole + digit / 10.0);
        } else if digit <= scale.max {
            self.slide_to(digit);
            if let Step::Trial(showing) = &mut self.step {
                showing.is_typing = self.pending.is_none();
            }
        }
    }

    /// A record was committed; the project holds it by now.
    pub(super) fn voted(&mut self, token: VoteToken, desk: Desk<'_>) {
        let is_ours = |pending: &Pending| pending.vote.token == token;
        if self.pending.as_ref().is_some_and(is_ours) {
            self.pending = None;
            self.count(desk);
            self.advance(desk);
        }
    }

    /// A record could not be committed. It is kept, and nothing moves on.
    pub(super) fn failed(&mut self, token: VoteToken, reason: String) {
        if let Some(pending) = &mut self.pending
            && pending.vote.token == token
        {
            pending.failure = Some(reason);
        }
    }

    /// Hands the same record in again: its token makes sure that it counts once.
    pub(super) fn try_again(&mut self, now: Moment) -> Option<Vote> {
        let pending = self.pending.as_mut()?;
        pending.failure = None;
        pending.since = now;
        Some(pending.vote.clone())
    }

    /// The record that takes the last answer of the session back.
    pub(super) fn take_back(&mut self, desk: Desk<'_>) -> Option<Vote> {
        if self.pending.is_some() {
            return None;
        }
        let undo = self.last_vote(desk.project)?.taken_back(desk.now.unix_ms);
        Some(self.hand_in(undo, desk.now))
    }

    /// A picture turned out not to be decodable: its trial is passed over, unless an answer is on its way.
    pub(super) fn picture_failed(&mut self, image: ImageId, desk: Desk<'_>) {
        let is_shown = self
            .showing()
            .is_some_and(|showing| showing.images.contains(&image));
        if is_shown && self.pending.is_none() {
            self.advance(desk);
        }
    }

    fn hand_in(&mut self, vote: Vote, now: Moment) -> Vote {
        self.pending = Some(Pending {
            vote: vote.clone(),
            since: now,
            failure: None,
        });
        vote
    }

    fn vote(&self, showing: &Showing, value: VoteValue, now: Moment) -> Option<Vote> {
        let shown_at = showing.shown_at?;
        let vote = Vote {
            session: self.session,
            shown_at: shown_at.unix_ms,
            voted_at: now.unix_ms,
            reaction_ms: u32::try_from(now.since(shown_at)).unwrap_or(u32::MAX),
            zoom_max: showing.zoom_max,
            screen_px: showing.display.size_px,
            dpi_scale: showing.display.dpi_scale,
            ..plan::record(&self.study, &self.rater, showing.trial, value)
        };
        Some(vote.sealed())
    }

    /// The rater's records in this study, oldest first.
    fn own<'a>(&self, project: &'a Project) -> Vec<&'a Vote> {
        project.votes_by(self.study.id, &self.rater)
    }

    /// The newest answer of this session that stands.
    fn last_vote<'a>(&self, project: &'a Project) -> Option<&'a Vote> {
        if self.step == Step::Name {
            return None;
        }
        let session = self.session;
        study::standing(self.own(project))
            .into_iter()
            .filter(|vote| vote.session == session)
            .max_by_key(|vote| (vote.voted_at, vote.id))
    }

    fn count(&mut self, desk: Desk<'_>) {
        self.num_done = study::standing(self.own(desk.project)).len();
    }

    /// Shows what comes after the answers so far.
    fn advance(&mut self, desk: Desk<'_>) {
        let before = self.showing().map(|showing| showing.trial.aspect);
        let Some((trial, images)) = self.next(desk) else {
            self.step = Step::Thanks;
            self.has_answer = self.last_vote(desk.project).is_some();
            self.ahead.clear();
            return;
        };
        let own = self.own(desk.project);
        let session = study::Sitting::of(self.protocol(), &own, desk.now.unix_ms);
        self.session = session.session;
        self.step = match session.break_until {
            Some(until) => Step::Break { until },
            None if before.is_some_and(|before| before != trial.aspect) => {
                Step::Question(trial.aspect)
            }
            None => Step::Trial(Box::new(self.show(trial, images))),
        };
        self.has_answer = self.last_vote(desk.project).is_some();
        self.look_ahead(desk);
    }

    fn show(&self, trial: Trial, images: Vec<ImageId>) -> Showing {
        let first = trial.what.pictures().first().copied();
        let is_hidden = *self.protocol().hide_prompt.get(trial.aspect);
        let prompt = first
            .filter(|_| !is_hidden)
            .and_then(|hash| self.protocol().picture(hash))
            .map(|picture| picture.prompt.clone())
            .filter(|prompt| !prompt.trim().is_empty());
        Showing {
            trial,
            images,
            prompt,
            shown_at: None,
            display: Display::default(),
            zoom_max: 0.0,
            slider: None,
            is_typing: false,
        }
    }

    /// The next trial whose pictures can be shown. Those that cannot are noted, and never get a vote.
    fn next(&mut self, desk: Desk<'_>) -> Option<(Trial, Vec<ImageId>)> {
        let next = self.seat(desk, &|hash| desk.picture(hash).is_ok()).next();
        for picture in next.passed_over {
            self.skip(picture, desk);
        }
        let pictures = next.trial?.what.pictures().into_iter();
        let images: Result<Vec<ImageId>, String> =
            pictures.map(|hash| desk.picture(hash)).collect();
        Some((next.trial?, images.ok()?))
    }

    fn seat<'a>(
        &'a self,
        desk: Desk<'a>,
        is_there: &'a dyn Fn(ContentHash) -> bool,
    ) -> plan::Seat<'a> {
        plan::Seat {
            study: &self.study,
            rater: &self.rater,
            order: &self.order,
            votes: desk.project.votes_of(self.study.id),
            own: self.own(desk.project),
            is_there,
        }
    }

    fn skip(&mut self, picture: ContentHash, desk: Desk<'_>) {
        let is_known = self.skipped.iter().any(|known| known.picture == picture);
        if let Err(reason) = desk.picture(picture)
            && !is_known
        {
            self.skipped.push(Skipped { picture, reason });
        }
    }

    /// Finds the pictures that the next answers lead to, so that they are decoded before they are wanted.
    fn look_ahead(&mut self, desk: Desk<'_>) {
        let given = self.showing().map(|showing| showing.trial);
        let pictures = self
            .seat(desk, &|hash| desk.picture(hash).is_ok())
            .ahead(given);
        self.ahead = pictures
            .into_iter()
            .filter_map(|hash| desk.picture(hash).ok())
            .collect();
    }
}

/// A tenth, as exactly as a number can be one.
fn rounded(score: f64) -> f64 {
    (score * 10.0).round() / 10.0
}
