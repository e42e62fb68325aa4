//! What a command prints: answers to stdout, everything else to stderr.

use std::io;
use std::io::Write as _;
use std::time::Duration;

use indicatif::DecimalBytes;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::Value;

use crate::jobs::message::FailedItem;
use crate::jobs::message::Progress;
use crate::jobs::message::Unit;

/// Failures listed in words before the rest is only counted; `--json` lists all.
const MAX_LISTED_FAILURES: usize = 20;

/// Prints the answer to stdout: `json` as it is, or the words.
/// A reader that has gone (a closed pipe) is no mistake of ours.
pub(super) fn answer(json: bool, value: &Value, words: &str) {
    let text = if json {
        format!("{value:#}")
    } else {
        words.trim_end().to_owned()
    };
    if !text.is_empty() {
        writeln!(io::stdout(), "{text}").ok();
    }
}

/// What went wrong and why; a cause that was told in the words before it is not told twice.
pub fn whole_reason(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

/// The bar of the running job, on stderr; invisible where stderr is no terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    stage: String,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            stage: String::new(),
        }
    }

    /// Shows how far the job is.
    pub(super) fn show(&mut self, progress: &Progress) {
        if self.stage != progress.stage {
            self.stage.clone_from(&progress.stage);
            self.bar.set_style(style(progress.total > 0, progress.unit));
            if self.bar.is_hidden() {
                say(&self.stage);
            }
        }
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
        let rate = progress
            .per_second
            .map_or_else(String::new, |rate| match progress.unit {
                Unit::Items => rate_words(rate),
                Unit::Bytes => format!(", {}/s", bytes_words(rate as u64)),
            });
        let left = progress.seconds_left.map_or_else(String::new, |seconds| {
            format!(", {} left", time_words(seconds))
        });
        self.bar
            .set_message(format!("{}{rate}{left}", progress.stage));
    }

    /// Prints a line without tearing the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line to stderr.
pub(super) fn say(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}

/// Lists what failed on stderr.
pub(super) fn list_failures(failed: &[FailedItem]) {
    for item in failed.iter().take(MAX_LISTED_FAILURES) {
        say(&format!("failed: {}: {}", item.path, item.reason));
    }
    if failed.len() > MAX_LISTED_FAILURES {
        say(&format!(
            "failed: {} more; --json lists them all",
            failed.len() - MAX_LISTED_FAILURES
        ));
    }
}

/// Bytes in words: "38.1 MB".
pub(super) fn bytes_words(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

fn style(counted: bool, unit: Unit) -> ProgressStyle {
    let template = match (counted, unit) {
        (true, Unit::Items) => "{wide_bar} {pos}/{len} {msg}",
        (true, Unit::Bytes) => "{wide_bar} {decimal_bytes}/{decimal_total_bytes} {msg}",
        (false, Unit::Items) => "{spinner} {pos} {msg}",
        (false, Unit::Bytes) => "{spinner} {decimal_bytes} {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn rate_words(per_second: f64) -> String {
    if per_second >= 1.0 {
        format!(", {per_second:.1}/s")
    } else {
        format!(", {:.1} s each", 1.0 / per_second)
    }
}

/// "45 s", "3 min", "2 h 05 min".
fn time_words(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read: {source}: the-file")]
        struct Told {
            source: io::Error,
        }
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let told = anyhow::Error::new(Told { source: missing() });
        let cause = missing();
        let once = format!("cannot read: {cause}: the-file");
        assert_eq!(whole_reason(&told), once);
        let untold = anyhow::Error::new(missing()).context("one");
        assert_eq!(whole_reason(&untold), format!("one: {cause}"));
    }

    #[test]
    fn times_are_as_exact_as_they_are_useful() {
        assert_eq!(time_words(44.6), "45 s");
        assert_eq!(time_words(150.0), "3 min");
        assert_eq!(time_words(7500.0), "2 h 05 min");
    }

    #[test]
    fn slow_rates_are_said_as_seconds_an_item() {
        assert_eq!(rate_words(12.34), ", 12.3/s");
        assert_eq!(rate_words(0.25), ", 4.0 s each");
    }
}
