//! Test predictions of runs: kept when a run ends, and held against each other when somebody looks.

use std::collections::BTreeMap;

use crate::domain::Contest;
use crate::domain::FigureReport;
use crate::domain::ImageId;
use crate::domain::PairedFigure;
use crate::domain::Range;
use crate::domain::Ranged;
use crate::domain::RunId;
use crate::domain::RunReport;
use crate::domain::TestPrediction;
use crate::domain::Tested;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::figures;
use crate::jobs::message::Event;
use crate::jobs::prepare::Exam;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::stats;
use crate::stats::Interval;
use crate::stats::Resampling;
use crate::stats::StatsError;
use crate::store::cache_folder;
use crate::store::feature_usage;

/// How intervals are taken; the seed is fixed, so that the same runs always show the same figures.
const RESAMPLING: Resampling = Resampling {
    count: 2000,
    level: 0.95,
    seed: 42,
};

/// Truths closer than this are the same.
const SAME_MOS: f64 = 1e-9;

/// A figure of predictions against the truth.
type Figure = fn(&[f64], &[f64]) -> Result<f64, StatsError>;

/// The figures that have intervals.
const FIGURES: [(&str, Figure); 3] = [
    ("SRCC", stats::srcc),
    ("PLCC", stats::plcc),
    ("RMSE", stats::rmse),
];

/// Keeps what a run's predictor and the one before it say of the test pictures.
pub(super) fn save_tests(
    pinned: &Pinned,
    run: RunId,
    scored: &[(&Exam, f64)],
) -> Result<(), JobError> {
    let tests: Vec<TestPrediction> = scored
        .iter()
        .filter_map(|(exam, value)| {
            Some(TestPrediction {
                image: exam.image,
                hash: exam.key.image,
                mos: exam.mos?,
                before: exam.before,
                after: Some(*value),
            })
        })
        .collect();
    pinned.call(move |project, _| Ok(project.save_run_tests(run, &tests)?))
}

/// Reads what a contest needs and answers with [`Event::RunsReported`].
pub(super) fn report(store: &StoreHandle, contest: Contest) -> Result<(), JobError> {
    let (catalog, pinned) = store.snapshot()?;
    let (left, right) = match contest {
        Contest::BeforeAfter(run) => (None, run),
        Contest::Runs(left, right) => (Some(left), right),
    };
    let (lefts, rights) = pinned.call(move |project, _| {
        let lefts = left.map(|run| project.run_tests(run)).transpose()?;
        Ok((lefts, project.run_tests(right)?))
    })?;
    let aspect_of = |run: RunId| {
        let run = catalog.runs.iter().find(|record| record.id == run);
        run.map(|run| run.settings.aspect)
    };
    let aspect = aspect_of(right);
    let is_one_aspect = left.is_none_or(|left| aspect_of(left) == aspect);
    let mut report = match lefts {
        None => before_after(&rights),
        Some(_) if !is_one_aspect => alone(&rights),
        Some(lefts) => two_runs(&lefts, &rights),
    };
    if left.is_some() && !is_one_aspect {
        report.notes.insert(
            0,
            "The two runs score different aspects, so there is nothing to test between them"
                .to_owned(),
        );
    }
    report.contest = contest;
    report.aspect = aspect.filter(|_| is_one_aspect);
    pinned.call(move |_, events| {
        events.send(Event::RunsReported(Box::new(report)));
        Ok(())
    })
}

/// Says how much room the open project's cached features take.
pub(super) fn measure(store: &StoreHandle) -> Result<(), JobError> {
    let (_, pinned) = store.snapshot()?;
    let usage = feature_usage(&cache_folder(pinned.path()));
    pinned.call(move |_, events| {
        events.send(Event::FeaturesMeasured(usage));
        Ok(())
    })
}

fn before_after(tests: &[TestPrediction]) -> RunReport {
    let pictures = tests.iter().filter_map(|test| {
        Some(Tested {
            image: test.image,
            mos: test.mos,
            first: test.before,
            second: test.after?,
        })
    });
    let mut report = compare(pictures.collect());
    if tests.is_empty() {
        report.notes.push(NOT_KEPT.to_owned());
    } else if report.first.is_none() {
        report
            .notes
            .push("There was no predictor before this run to compare with".to_owned());
    }
    report
}

/// What is said of runs that ended before test predictions were kept.
const NOT_KEPT: &str = "The run kept no test predictions (it has not ended, or an earlier version of the program made it), so there are no intervals";

fn alone(tests: &[TestPrediction]) -> RunReport {
    let pictures = tests.iter().filter_map(|test| {
        Some(Tested {
            image: test.image,
            mos: test.mos,
            first: None,
            second: test.after?,
        })
    });
    compare(pictures.collect())
}

fn two_runs(lefts: &[TestPrediction], rights: &[TestPrediction]) -> RunReport {
    let by_image: BTreeMap<ImageId, &TestPrediction> =
        lefts.iter().map(|test| (test.image, test)).collect();
    let mut num_other_truth = 0;
    let mut pictures = Vec::new();
    for right in rights {
        let Some(left) = by_image.get(&right.image) else {
            continue;
        };
        let is_same_picture = left.hash == right.hash;
        if is_same_picture && (left.mos - right.mos).abs() > SAME_MOS {
            num_other_truth += 1;
            continue;
        }
        if let (true, Some(first), Some(second)) = (is_same_picture, left.after, right.after) {
            pictures.push(Tested {
                image: right.image,
                mos: right.mos,
                first: Some(first),
                second,
            });
        }
    }
    let (common, largest) = (pictures.len(), lefts.len().max(rights.len()));
    let mut report = compare(pictures);
    if lefts.is_empty() || rights.is_empty() {
        report.notes.push(NOT_KEPT.to_owned());
    } else if common + num_other_truth < largest {
        report.notes.push(format!(
            "Only the {common} images that both runs were tested on are compared"
        ));
    }
    if num_other_truth > 0 {
        report.notes.push(format!(
            "{num_other_truth} images are left out: the runs were tested against different opinions of them"
        ));
    }
    report
}

/// Figures over pictures of which all or none have a first side.
fn compare(mut pictures: Vec<Tested>) -> RunReport {
    let truth: Vec<f64> = pictures.iter().map(|picture| picture.mos).collect();
    let second: Vec<f64> = pictures.iter().map(|picture| picture.second).collect();
    let first: Option<Vec<f64>> = pictures.iter().map(|picture| picture.first).collect();
    let first = first.filter(|first| !first.is_empty());
    let reports = FIGURES.map(|(name, figure)| {
        let paired = match &first {
            None => Err("there is nothing to compare with".to_owned()),
            Some(first) => paired(first, &second, &truth, figure),
        };
        let alone = match &paired {
            Ok(paired) => Ok(paired.second),
            Err(_) => ranged_alone(&second, &truth, figure),
        };
        FigureReport {
            name,
            alone,
            paired,
        }
    });
    let change = |picture: &Tested| picture.gain().map_or(0.0, f64::abs);
    pictures.sort_by(|a, b| change(b).total_cmp(&change(a)));
    RunReport {
        contest: Contest::BeforeAfter(RunId(0)),
        aspect: None,
        first: first.map(|first| figures(&first, &truth)),
        second: figures(&second, &truth),
        figures: reports.to_vec(),
        pictures,
        notes: Vec::new(),
        resamples: RESAMPLING.count,
    }
}

fn paired(
    first: &[f64],
    second: &[f64],
    truth: &[f64],
    figure: Figure,
) -> Result<PairedFigure, String> {
    let found = stats::paired_bootstrap(first, second, truth, RESAMPLING, figure)
        .map_err(|reason| reason.to_string())?;
    let value_of = |values| figure(values, truth).map_err(|reason| reason.to_string());
    Ok(PairedFigure {
        first: ranged(value_of(first)?, found.first),
        second: ranged(value_of(second)?, found.second),
        difference: ranged(found.difference, found.interval),
        p_value: found.p_value,
    })
}

fn ranged_alone(pred: &[f64], truth: &[f64], figure: Figure) -> Result<Ranged, String> {
    let value = figure(pred, truth).map_err(|reason| reason.to_string())?;
    let interval = stats::bootstrap_interval(pred, truth, RESAMPLING, figure)
        .map_err(|reason| reason.to_string())?;
    Ok(ranged(value, interval))
}

const fn ranged(value: f64, interval: Interval) -> Ranged {
    Ranged {
        value,
        range: Range {
            low: interval.low,
            high: interval.high,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ContentHash;

    fn tests(num: i64, shift: f64) -> Vec<TestPrediction> {
        (0..num)
            .map(|number| {
                let mos = (number * 37 % 50) as f64 / 10.0;
                let noise = (number * 13 % 7) as f64 / 7.0;
                TestPrediction {
                    image: ImageId(number),
                    hash: ContentHash([number as u8; 32]),
                    mos,
                    before: Some(mos + 3.0 * noise),
                    after: Some(mos + shift * noise),
                }
            })
            .collect()
    }

    #[test]
    fn a_run_is_held_against_what_was_before_it() {
        let report = before_after(&tests(40, 0.5));
        assert_eq!((report.second.n, report.pictures.len()), (40, 40));
        let srcc = report.figures[0].paired.as_ref().unwrap();
        assert!(srcc.difference.value > 0.0 && srcc.difference.range.low > 0.0);
        assert!(srcc.second.range.low <= srcc.second.value);
        assert!(srcc.second.range.high >= srcc.second.value);
        let gains: Vec<f64> = report.pictures.iter().filter_map(Tested::gain).collect();
        assert!(gains.windows(2).all(|two| two[0].abs() >= two[1].abs()));
        assert!(report.notes.is_empty(), "{:?}", report.notes);
    }

    #[test]
    fn without_a_predictor_before_there_is_an_interval_and_no_test() {
        let mut tests = tests(20, 0.5);
        for test in &mut tests {
            test.before = None;
        }
        let report = before_after(&tests);
        assert!(report.first.is_none() && report.figures[0].alone.is_ok());
        assert!(report.figures[0].paired.is_err());
        assert!(report.notes[0].contains("no predictor before"));
    }

    #[test]
    fn only_pictures_with_the_same_truth_are_compared() {
        let lefts = tests(30, 1.0);
        let mut rights = tests(25, 0.5);
        rights[3].mos += 1.0;
        rights[4].hash = ContentHash([99; 32]);
        let report = two_runs(&lefts, &rights);
        assert_eq!(report.pictures.len(), 23);
        assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    }

    #[test]
    fn equal_predictions_have_a_reason_in_place_of_a_figure() {
        let mut tests = tests(20, 0.5);
        for test in &mut tests {
            test.after = Some(2.0);
        }
        let report = before_after(&tests);
        let reason = report.figures[0].alone.as_ref().unwrap_err();
        assert!(!reason.is_empty());
        assert!(report.figures[2].alone.is_ok(), "RMSE exists");
    }

    #[test]
    fn a_run_without_test_predictions_says_so() {
        let report = before_after(&[]);
        assert_eq!(report.notes, [NOT_KEPT]);
        assert_eq!(report.second.n, 0);
    }
}
