//! How long the window took: to its first pictures, and to draw each frame. Kept only when asked for, and written
//! when the window closes.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::ui::textures::Textures;

/// Frames that are kept; an hour at 60 a second would be 216,000.
const MAX_FRAMES: usize = 500_000;

/// What has been measured so far.
pub(super) struct Timings {
    out: PathBuf,
    since: Instant,
    marks: Marks,
    frames_ms: Vec<f64>,
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
}

#[derive(Debug, PartialEq, Serialize)]
struct Quantiles {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Timings {
    pub(super) const fn new(out: PathBuf, since: Instant) -> Self {
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
        let report = Report {
            marks: self.marks,
            num_frames: self.frames_ms.len(),
            frame_ms: quantiles(&mut self.frames_ms),
        };
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(Path::new(&self.out), text + "\n")
    }
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
