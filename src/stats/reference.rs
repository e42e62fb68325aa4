//! Figures held against SciPy, NumPy and scikit-learn (`tests/fixtures/stats/make.py`).

use serde::Deserialize;

use super::{
    Resampling, StatsError, agreement, auc, average_ranks, bootstrap_interval, classification,
    paired_bootstrap, plcc, polynomial_fit, srcc,
};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    labels: Labels,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    pred: Vec<f64>,
    truth: Vec<f64>,
    srcc: f64,
    plcc: f64,
    krcc: f64,
    rmse: f64,
    mae: f64,
    plcc_fit4: f64,
    plcc_fit5: f64,
    ranks: Vec<f64>,
    auc: f64,
    poly_at: Vec<f64>,
    poly: Vec<f64>,
    bootstrap_srcc: [f64; 2],
}

#[derive(Deserialize)]
struct Labels {
    pred: Vec<usize>,
    truth: Vec<usize>,
    accuracy: f64,
    rough_accuracy: f64,
    precision: f64,
    f1: f64,
}

fn reference() -> Result<Reference, serde_json::Error> {
    serde_json::from_str(include_str!("../../tests/fixtures/stats/reference.json"))
}

fn assert_close(name: &str, what: &str, ours: f64, theirs: f64) {
    assert!(
        (ours - theirs).abs() <= 1e-9,
        "{name}, {what}: {ours} against {theirs}"
    );
}

/// Which values lie above their median (of an even number, the mean of the middle two).
fn upper_half(values: &[f64]) -> Vec<bool> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = f64::midpoint(sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
    values.iter().map(|value| *value > middle).collect()
}

#[test]
fn figures_equal_scipy_within_1e_9() -> Result<(), StatsError> {
    for case in reference().expect("the fixture is JSON").cases {
        let ours = agreement(&case.pred, &case.truth);
        for (what, ours, theirs) in [
            ("srcc", ours.srcc, case.srcc),
            ("plcc", ours.plcc, case.plcc),
            ("krcc", ours.krcc, case.krcc),
            ("rmse", ours.rmse, case.rmse),
            ("mae", ours.mae, case.mae),
            ("plcc_fit4", ours.plcc_fit4, case.plcc_fit4),
            ("plcc_fit5", ours.plcc_fit5, case.plcc_fit5),
        ] {
            assert_close(&case.name, what, ours?, theirs);
        }
        assert_eq!(average_ranks(&case.pred), case.ranks);
        let has = upper_half(&case.truth);
        assert_close(&case.name, "auc", auc(&case.pred, &has)?, case.auc);
    }
    Ok(())
}

#[test]
fn the_polynomial_and_the_bootstrap_equal_numpy_within_1e_9() -> Result<(), StatsError> {
    for case in reference().expect("the fixture is JSON").cases {
        let curve = polynomial_fit(&case.pred, &case.truth, 4)?;
        for (&x, &theirs) in case.poly_at.iter().zip(&case.poly) {
            assert_close(&case.name, "polynomial", curve.predict(x), theirs);
        }
        let resampling = Resampling {
            count: 100,
            level: 0.9,
            seed: 11,
        };
        let interval = bootstrap_interval(&case.pred, &case.truth, resampling, srcc)?;
        assert_close(&case.name, "low", interval.low, case.bootstrap_srcc[0]);
        assert_close(&case.name, "high", interval.high, case.bootstrap_srcc[1]);
    }
    Ok(())
}

#[test]
fn class_figures_equal_scikit_learn_within_1e_9() -> Result<(), StatsError> {
    let theirs = reference().expect("the fixture is JSON").labels;
    let ours = classification(&theirs.pred, &theirs.truth, 5)?;
    assert_close("labels", "accuracy", ours.accuracy, theirs.accuracy);
    assert_close(
        "labels",
        "rough",
        ours.rough_accuracy,
        theirs.rough_accuracy,
    );
    assert_close("labels", "precision", ours.precision, theirs.precision);
    assert_close("labels", "f1", ours.f1, theirs.f1);
    Ok(())
}

#[derive(Deserialize)]
struct PairedReference {
    count: usize,
    level: f64,
    seed: u64,
    cases: Vec<PairedCase>,
}

#[derive(Deserialize)]
struct PairedCase {
    name: String,
    truth: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    srcc: PairedFigures,
    plcc: PairedFigures,
}

#[derive(Deserialize)]
struct PairedFigures {
    difference: f64,
    first: [f64; 2],
    second: [f64; 2],
    interval: [f64; 2],
    p_value: f64,
}

/// `tests/fixtures/paired/make.py`.
#[test]
fn the_paired_bootstrap_equals_scipy_within_1e_9() -> Result<(), StatsError> {
    let text = include_str!("../../tests/fixtures/paired/reference.json");
    let reference: PairedReference = serde_json::from_str(text).expect("the fixture is JSON");
    let resampling = Resampling {
        count: reference.count,
        level: reference.level,
        seed: reference.seed,
    };
    for case in reference.cases {
        type Figure = fn(&[f64], &[f64]) -> Result<f64, StatsError>;
        let figures: [(Figure, &PairedFigures); 2] = [(srcc, &case.srcc), (plcc, &case.plcc)];
        for (figure, theirs) in figures {
            let ours =
                paired_bootstrap(&case.first, &case.second, &case.truth, resampling, figure)?;
            for (what, ours, theirs) in [
                ("difference", ours.difference, theirs.difference),
                ("first, low", ours.first.low, theirs.first[0]),
                ("first, high", ours.first.high, theirs.first[1]),
                ("second, low", ours.second.low, theirs.second[0]),
                ("second, high", ours.second.high, theirs.second[1]),
                ("low", ours.interval.low, theirs.interval[0]),
                ("high", ours.interval.high, theirs.interval[1]),
                ("p", ours.p_value, theirs.p_value),
            ] {
                assert_close(&case.name, what, ours, theirs);
            }
        }
    }
    Ok(())
}
