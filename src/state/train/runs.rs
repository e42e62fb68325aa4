//! Runs in words: when, how it ended, what it brought, and what going back would mean.

use crate::domain::{
    EpochFigures, Figures, HeadInput, PairedFigure, RunRecord, RunReport, RunStatus, TrainSettings,
};
use crate::state::project::Project;
use crate::stats;
use crate::stats::signed;

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

/// Below this p-value a difference counts as shown.
pub const SURE: f64 = 0.05;

/// A difference of SRCC with its interval, e.g. "a difference of +0.130 (95 % interval +0.090 to +0.170, p < 0.001)".
pub fn difference_words(paired: &PairedFigure) -> String {
    let difference = paired.difference;
    let p_value = match paired.p_value {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    };
    format!(
        "a difference of {} (95 % interval {} to {}, {p_value})",
        signed(difference.value, 3),
        signed(difference.range.low, 3),
        signed(difference.range.high, 3)
    )
}

/// What the run brought, in a sentence, and how sure that is once the workers found out.
pub fn verdict_with(run: &RunRecord, report: Option<&RunReport>) -> String {
    let sentence = verdict(run);
    let srcc = report.and_then(|report| report.figures.iter().find(|figure| figure.name == "SRCC"));
    let Some(Ok(paired)) = srcc.map(|figure| &figure.paired) else {
        return sentence;
    };
    let sure = match paired.p_value < SURE {
        true => "",
        false => "; that may be chance",
    };
    format!(
        "{}, {}{sure}.",
        sentence.trim_end_matches('.'),
        difference_words(paired)
    )
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

/// The head and what it reads, e.g. "xLSTM 96, mean pooling, hidden states".
pub fn head_words(settings: &TrainSettings) -> String {
    let head = &settings.head;
    let projection = match head.input {
        HeadInput::Logits => format!(", {} projection", head.projection.name()),
        HeadInput::Hidden => String::new(),
    };
    let quirks = match head.published_quirks {
        true => ", published quirks",
        false => "",
    };
    format!(
        "{} of width {}, {} pooling, reads {}{projection}{quirks}",
        head.kind.name(),
        head.dim,
        head.pooling.name(),
        head.input.name()
    )
}

/// How a run was trained, in a line.
pub fn settings_words(settings: &TrainSettings) -> String {
    let clipped = settings.max_norm.map_or_else(
        || "not clipped".to_owned(),
        |norm| format!("clipped at {norm}"),
    );
    let patience = settings.patience.map_or_else(String::new, |patience| {
        format!(", ends after {patience} epochs without a better one")
    });
    format!(
        "Loss {}, batches of {}, {} learning rate {}, weight decay {}, gradients {clipped}, seed {}{patience}",
        settings.loss.name(),
        settings.batch_size,
        settings.schedule.name(),
        settings.learning_rate,
        settings.weight_decay,
        settings.seed
    )
}

/// The runs of the cross-validation that a run is part of, in the order of their parts: of each part the newest.
pub fn folds<'a>(project: &'a Project, run: &'a RunRecord) -> Vec<&'a RunRecord> {
    let Some(fold) = run.settings.fold else {
        return Vec::new();
    };
    let plain = |settings: &TrainSettings| TrainSettings {
        fold: None,
        ..settings.clone()
    };
    let wanted = plain(&run.settings);
    let is_sibling = |other: &&RunRecord| {
        let part = other.settings.fold;
        part.is_some_and(|part| part.of == fold.of) && plain(&other.settings) == wanted
    };
    let siblings: Vec<&RunRecord> = project.runs.iter().filter(is_sibling).collect();
    (0..fold.of)
        .filter_map(|number| {
            let of_part = |other: &&&RunRecord| {
                other
                    .settings
                    .fold
                    .is_some_and(|part| part.number == number)
            };
            siblings.iter().rev().find(of_part).copied()
        })
        .collect()
}

/// Mean and spread over the parts of a cross-validation, in sentences; empty for a run by itself.
pub fn folds_words(project: &Project, run: &RunRecord) -> Vec<String> {
    let (Some(fold), runs) = (run.settings.fold, folds(project, run)) else {
        return Vec::new();
    };
    let part = format!(
        "Part {} of {} of a cross-validation; its predictor is not taken into use by itself.",
        fold.number + 1,
        fold.of
    );
    let val: Vec<&Figures> = runs
        .iter()
        .filter_map(|run| best(run))
        .map(|best| &best.val)
        .collect();
    let test: Vec<&Figures> = runs
        .iter()
        .filter_map(|run| run.test_after.as_ref())
        .collect();
    let mut words = vec![part];
    for (name, figures) in [("validation part", val), ("test list", test)] {
        let of = |pick: fn(&Figures) -> Option<f64>| {
            let values: Vec<f64> = figures.iter().copied().filter_map(pick).collect();
            let spread = stats::mean_and_deviation(&values);
            spread.map(|(mean, deviation)| (mean, deviation, values.len()))
        };
        if let (Ok(srcc), Ok(plcc)) = (of(|f| f.srcc), of(|f| f.plcc)) {
            words.push(format!(
                "On the {name}, over {} of {} parts: SRCC {:.3} \u{b1} {:.3}, PLCC {:.3} \u{b1} {:.3} (mean and standard deviation).",
                srcc.2, fold.of, srcc.0, srcc.1, plcc.0, plcc.1
            ));
        }
    }
    words
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
