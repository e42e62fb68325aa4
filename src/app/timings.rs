//! How long the window took: to its first pictures, and to draw each frame. Kept only when asked for, and written
//! when the window closes.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;
use std::time::SystemTime;

use serde::Serialize;

use crate::domain::VoteToken;
use crate::ui::textures::Textures;

/// Frames that are kept; an hour at 60 a second would be 216,000.
const MAX_FRAMES: usize = 500_000;

/// What has been measured so far.
pub(super) struct Timings {
    out: PathBuf,
    since: Instant,
    marks: Marks,
    frames_ms: Vec<f64>,
    votes: Votes,
    asked: Option<Instant>,
    counted_ms: Vec<f64>,
    laid_out_ms: Vec<f64>,
}

/// How long a rater waits: from the key (or click) that answers, as it reaches the program, until the vote is known to be
/// on disk, and until the next picture is drawn.
#[derive(Debug, Default)]
struct Votes {
    pressed: Option<Instant>,
    answered: Option<Answered>,
    handed_in_ms: Vec<f64>,
    committed_ms: Vec<f64>,
    drawn_ms: Vec<f64>,
    log: Vec<VoteTimes>,
}

/// A vote whose next picture has not been drawn yet.
#[derive(Debug)]
struct Answered {
    token: VoteToken,
    pressed: Instant,
    is_committed: bool,
    is_next_shown: bool,
    times: VoteTimes,
}

/// Moments of a vote in milliseconds since 1970-01-01 UTC, to be held against whoever sent the key.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct VoteTimes {
    pressed_at: f64,
    committed_at: f64,
    drawn_at: f64,
}

/// Seconds from the start of the program; `null` for what did not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Marks {
    first_frame_s: Option<f64>,
    project_open_s: Option<f64>,
    first_thumbnail_s: Option<f64>,
    /// Every picture on screen has its thumbnail.
    screen_full_s: Option<f64>,
}

/// What is written.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    marks: Marks,
    num_frames: usize,
    /// Milliseconds that the window's thread worked for a frame, painting included, waiting for the screen not.
    frame_ms: Option<Quantiles>,
    num_votes: usize,
    /// Milliseconds from the key to the vote on its way to the disk.
    key_to_handed_in_ms: Option<Quantiles>,
    /// Milliseconds from the key until the window knows that the vote is on disk.
    key_to_committed_ms: Option<Quantiles>,
    /// Milliseconds from the key until the next picture (or page) was drawn.
    key_to_next_drawn_ms: Option<Quantiles>,
    votes: Vec<VoteTimes>,
    /// Milliseconds from asking for a study's results until they came from the worker.
    results_counted_ms: Option<Quantiles>,
    /// Milliseconds that the window's thread then took to lay them out.
    results_laid_out_ms: Option<Quantiles>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Quantiles {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Timings {
    pub(super) fn new(out: PathBuf, since: Instant) -> Self {
        Self {
            out,
            since,
            marks: Marks {
                first_frame_s: None,
                project_open_s: None,
                first_thumbnail_s: None,
                screen_full_s: None,
            },
            frames_ms: Vec::new(),
            votes: Votes::default(),
            asked: None,
            counted_ms: Vec::new(),
            laid_out_ms: Vec::new(),
        }
    }

    /// A frame begins; `is_pressed` says whether a key or a button went down since the one before. What was shown in
    /// the frame before is on screen by now.
    pub(super) fn begin(&mut self, is_pressed: bool) {
        let now = Instant::now();
        self.votes.drawn(now);
        self.votes.pressed = is_pressed.then_some(now);
    }

    /// Results of a study are asked for.
    pub(super) fn asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// Results came, and the window laid them out since `came`.
    pub(super) fn counted(&mut self, came: Instant) {
        self.laid_out_ms.push(ms_between(came, Instant::now()));
        if let Some(asked) = self.asked.take() {
            self.counted_ms.push(ms_between(asked, came));
        }
    }

    /// A vote is handed in.
    pub(super) fn handed_in(&mut self, token: VoteToken) {
        let now = Instant::now();
        let pressed = self.votes.pressed.unwrap_or(now);
        self.votes.handed_in_ms.push(ms_between(pressed, now));
        self.votes.answered = Some(Answered {
            token,
            pressed,
            is_committed: false,
            is_next_shown: false,
            times: VoteTimes {
                pressed_at: unix_ms() - ms_between(pressed, now),
                ..VoteTimes::default()
            },
        });
    }

    /// The window was told that a vote is on disk.
    pub(super) fn committed(&mut self, token: VoteToken) {
        if let Some(answered) = &mut self.votes.answered
            && answered.token == token
        {
            answered.is_committed = true;
            answered.times.committed_at = unix_ms();
            let waited = ms_between(answered.pressed, Instant::now());
            self.votes.committed_ms.push(waited);
        }
    }

    /// The picture of the next trial was painted in this frame.
    pub(super) fn next_shown(&mut self) {
        if let Some(answered) = &mut self.votes.answered {
            answered.is_next_shown = answered.is_committed;
        }
    }

    /// Notes a drawn frame; `last_frame_s` is what the frame before it took.
    pub(super) fn frame(
        &mut self,
        has_project: bool,
        textures: &Textures,
        last_frame_s: Option<f32>,
    ) {
        let now = Some(self.since.elapsed().as_secs_f64());
        let marks = &mut self.marks;
        for (mark, has_happened) in [
            (&mut marks.first_frame_s, true),
            (&mut marks.project_open_s, has_project),
            (&mut marks.first_thumbnail_s, textures.has_thumbnails()),
            (&mut marks.screen_full_s, textures.is_complete()),
        ] {
            if has_happened && mark.is_none() {
                *mark = now;
            }
        }
        if let Some(seconds) = last_frame_s
            && self.frames_ms.len() < MAX_FRAMES
        {
            self.frames_ms.push(f64::from(seconds) * 1e3);
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn write(mut self) -> std::io::Result<()> {
        let votes = &mut self.votes;
        let report = Report {
            marks: self.marks,
            num_frames: self.frames_ms.len(),
            frame_ms: quantiles(&mut self.frames_ms),
            num_votes: votes.committed_ms.len(),
            key_to_handed_in_ms: quantiles(&mut votes.handed_in_ms),
            key_to_committed_ms: quantiles(&mut votes.committed_ms),
            key_to_next_drawn_ms: quantiles(&mut votes.drawn_ms),
            votes: std::mem::take(&mut votes.log),
            results_counted_ms: quantiles(&mut self.counted_ms),
            results_laid_out_ms: quantiles(&mut self.laid_out_ms),
        };
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(Path::new(&self.out), text + "\n")
    }
}

impl Votes {
    /// What was painted in the frame before is on screen.
    fn drawn(&mut self, now: Instant) {
        if let Some(mut answered) = self.answered.take_if(|answered| answered.is_next_shown) {
            self.drawn_ms.push(ms_between(answered.pressed, now));
            answered.times.drawn_at = unix_ms();
            if self.log.len() < MAX_FRAMES {
                self.log.push(answered.times);
            }
        }
    }
}

fn ms_between(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

fn unix_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

/// Nearest-rank quantiles; `None` of nothing.
fn quantiles(values: &mut [f64]) -> Option<Quantiles> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some(Quantiles {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        max: at(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_and_one_frames_are_their_ranks() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let found = quantiles(&mut values).unwrap();
        let wanted = Quantiles {
            p50: 50.0,
            p95: 95.0,
            p99: 99.0,
            max: 100.0,
        };
        assert_eq!(found, wanted);
        assert_eq!(quantiles(&mut []), None);
    }

    #[test]
    fn a_vote_is_timed_from_its_key_to_the_disk_and_to_the_next_picture() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("timings.json");
        let mut timings = Timings::new(out.clone(), Instant::now());
        let token = VoteToken(7);
        timings.begin(true);
        timings.handed_in(token);
        timings.next_shown();
        timings.begin(false);
        timings.committed(VoteToken(8));
        timings.committed(token);
        timings.begin(false);
        timings.next_shown();
        timings.begin(false);
        timings.write().unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        assert_eq!(report["num_votes"], 1);
        let of = |name: &str| report[name]["p50"].as_f64().expect(name);
        assert!(of("key_to_handed_in_ms") <= of("key_to_committed_ms"));
        assert!(of("key_to_committed_ms") <= of("key_to_next_drawn_ms"));
        let times = &report["votes"][0];
        let at = |name: &str| times[name].as_f64().expect(name);
        assert!(at("pressed_at") > 1e12 && at("committed_at") <= at("drawn_at"));
    }

    #[test]
    fn what_did_not_happen_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("timings.json");
        let mut timings = Timings::new(out.clone(), Instant::now());
        timings.frame(false, &Textures::default(), None);
        timings.write().unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        assert!(report["first_frame_s"].is_f64());
        assert!(report["first_thumbnail_s"].is_null() && report["frame_ms"].is_null());
    }
}
