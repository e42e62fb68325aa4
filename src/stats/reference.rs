//! Figures held against SciPy, NumPy and scikit-learn (`tests/fixtures/stats/make.py`).

use serde::Deserialize;

use super::{
    Resampling, StatsError, agreement, average_ranks, bootstrap_interval, classification,
    polynomial_fit, srcc,
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
