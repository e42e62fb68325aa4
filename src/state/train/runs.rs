//! Runs in words: when, how it ended, what it brought, and what going back would mean.

use crate::domain::{EpochFigures, Figures, RunRecord, RunStatus};
use crate::state::project::Project;

use super::data::images;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A correlation or an error with three digits, or the word that says there is none.
pub fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.3}"))
}

/// Why figures are undefined, where they are.
pub fn reason(figures: &Figures) -> &str {
    figures
        .reason
        .as_deref()
        .unwrap_or("no reason was noted for it")
}

/// The epoch whose weights are kept.
pub fn best(run: &RunRecord) -> Option<&EpochFigures> {
    let best = run.best_epoch?;
    run.epochs.iter().find(|figures| figures.epoch == best)
}

/// How a run stands. `is_active`: it is being trained right now.
pub const fn status_words(run: &RunRecord, is_active: bool) -> &'static str {
    match (&run.status, is_active) {
        (RunStatus::Running, true) => "training",
        (RunStatus::Running, false) => "cut off",
        (RunStatus::Done, _) => "finished",
        (RunStatus::Stopped, _) => "stopped",
        (RunStatus::Failed(_), _) => "failed",
    }
}

/// Whether the predictor of a run is the one in use.
pub fn is_in_use(project: &Project, run: &RunRecord) -> bool {
    run.predictor.is_some() && *project.settings.predictor.get(run.settings.aspect) == run.predictor
}

/// What the run brought, in a sentence.
pub fn verdict(run: &RunRecord) -> String {
    let aspect = run.settings.aspect;
    if let RunStatus::Failed(why) = &run.status {
        return format!("The run failed: {why}");
    }
    let Some(after) = &run.test_after else {
        return match run.status {
            RunStatus::Running => {
                "No test figures yet: they are taken once, at the end.".to_owned()
            }
            _ => {
                "It was stopped before its first epoch was done: nothing came out of it.".to_owned()
            }
        };
    };
    let test = images(after.n);
    let Some(new) = after.srcc else {
        return format!(
            "SRCC on {test} of the test list is undefined: {}.",
            reason(after)
        );
    };
    match run.test_before.as_ref().map(|before| (before, before.srcc)) {
        None => format!(
            "SRCC on {test} of the test list is {new:.3}; there was no {aspect} predictor before."
        ),
        Some((before, None)) => format!(
            "SRCC on {test} of the test list is {new:.3}; before it was undefined: {}.",
            reason(before)
        ),
        Some((_, Some(old))) => {
            let (old_words, new_words) = (format!("{old:.3}"), format!("{new:.3}"));
            if old_words == new_words {
                return format!("SRCC on {test} of the test list stayed at {new_words}.");
            }
            let verb = if new > old { "rose" } else { "fell" };
            format!("SRCC on {test} of the test list {verb} from {old_words} to {new_words}.")
        }
    }
}

/// What going back to the predictor in use before the run would mean.
pub fn roll_back_words(project: &Project, run: &RunRecord) -> String {
    let aspect = run.settings.aspect;
    let name = run.previous.map(|id| {
        let card = project.predictors.iter().find(|card| card.id == id);
        card.map_or_else(|| format!("predictor {}", id.0), |card| card.name.clone())
    });
    match name {
        Some(name) => format!("Takes {name} into use again. Nothing is deleted."),
        None if project.embedded.iter().any(|card| card.aspect == aspect) => {
            "Takes the predictor that comes with the program into use again. Nothing is deleted."
                .to_owned()
        }
        None => format!(
            "There was no {aspect} predictor before: {aspect} will have no scores until one is used. Nothing is deleted."
        ),
    }
}

/// Seconds that training may take, from the newest run of the project; `None` before any ran.
pub fn train_seconds(project: &Project, num_train: usize, epochs: u32) -> Option<f64> {
    let run = project
        .runs
        .iter()
        .rev()
        .find(|run| !run.epochs.is_empty())?;
    let seconds: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    let passes = run.epochs.len() as f64 * run.num_images[0].max(1) as f64;
    Some(seconds / passes * num_train as f64 * f64::from(epochs))
}

/// A moment as "2026-11-23 05:58", in UTC.
pub fn time_words(unix_time: i64) -> String {
    let (days, seconds) = (unix_time.div_euclid(DAY), unix_time.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute) = (seconds / 3600, seconds % 3600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

/// Year, month and day of a count of days since 1970-01-01 (proleptic Gregorian calendar; years counted from March, so
/// that the leap day is the last one).
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Aspect, ModelTag, RunId, TrainSettings};

    fn figures(srcc: Option<f64>) -> Figures {
        Figures {
            n: 535,
            srcc,
            reason: Some("all scores equal".to_owned()),
            ..Figures::default()
        }
    }

    fn run(before: Option<Figures>, after: Option<f64>) -> RunRecord {
        RunRecord {
            id: RunId(1),
            settings: TrainSettings::new(Aspect::Quality),
            model: ModelTag {
                name: "mini".to_owned(),
                sha256: String::new(),
            },
            preset: "assay".to_owned(),
            num_images: [10, 2, 535],
            status: RunStatus::Done,
            epochs: Vec::new(),
            best_epoch: None,
            previous: None,
            predictor: None,
            test_before: before,
            test_after: Some(figures(after)),
            unix_time: 0,
        }
    }

    #[test]
    fn the_verdict_says_which_way_the_figure_went() {
        let words = verdict(&run(Some(figures(Some(0.58))), Some(0.71)));
        assert_eq!(
            words,
            "SRCC on 535 images of the test list rose from 0.580 to 0.710."
        );
        assert!(
            verdict(&run(Some(figures(Some(0.71))), Some(0.58)))
                .contains("fell from 0.710 to 0.580")
        );
        assert!(
            verdict(&run(Some(figures(Some(0.7101))), Some(0.7102))).contains("stayed at 0.710")
        );
    }

    #[test]
    fn an_undefined_figure_has_its_reason_and_is_never_a_number() {
        assert!(verdict(&run(None, None)).ends_with("is undefined: all scores equal."));
        assert!(verdict(&run(Some(figures(None)), Some(0.5))).contains("before it was undefined"));
        assert!(verdict(&run(None, Some(0.5))).contains("no quality predictor before"));
        assert_eq!(figure(None), "undefined");
    }

    #[test]
    fn moments_are_dates_and_times() {
        assert_eq!(time_words(0), "1970-01-01 00:00");
        assert_eq!(time_words(951_782_400), "2000-02-29 00:00");
        assert_eq!(time_words(1_795_413_480), "2026-11-23 05:58");
        assert_eq!(time_words(-1), "1969-12-31 23:59");
    }
}
