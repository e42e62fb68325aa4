//! Rater figures held against published packages (`tests/fixtures/raters/make.py`).

use serde::Deserialize;

use super::*;
use crate::stats::StatsError;

/// The most that our figures may differ from theirs.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Reference {
    demo: Panel,
    dense: Panel,
    sparse: Panel,
    pairs: Vec<Pairs>,
}

#[derive(Deserialize)]
struct Panel {
    #[serde(default)]
    scores: Vec<Vec<Option<f64>>>,
    plain: Plain,
    bt500: Rejection,
    p913: Bias,
    correlation: Correlation,
    annex_e: Estimate,
    icc2k: Option<f64>,
    alpha: f64,
}

#[derive(Deserialize)]
struct Plain {
    mos: Vec<f64>,
    std: Vec<f64>,
    ci95: Vec<f64>,
}

#[derive(Deserialize)]
struct Rejection {
    p: Vec<f64>,
    q: Vec<f64>,
    rejected: Vec<bool>,
    mos: Vec<f64>,
    ci95: Vec<f64>,
}

#[derive(Deserialize)]
struct Bias {
    bias: Vec<f64>,
    mos: Vec<f64>,
    ci95: Vec<f64>,
}

#[derive(Deserialize)]
struct Correlation {
    r: Vec<f64>,
    threshold: f64,
}

#[derive(Deserialize)]
struct Estimate {
    mos: Vec<f64>,
    sos: Vec<f64>,
    bias: Vec<f64>,
    inconsistency: Vec<f64>,
    iterations: usize,
}

#[derive(Deserialize)]
struct Pairs {
    items: usize,
    votes: Vec<(usize, usize, f64)>,
    strength: Vec<f64>,
    std: Vec<f64>,
}

fn reference() -> Reference {
    let text = include_str!("../../../tests/fixtures/raters/reference.json");
    serde_json::from_str(text).expect("the fixture is JSON")
}

/// The demonstration data of Netflix's sureal, 79 videos by 26 raters.
fn demo() -> RatingMatrix {
    let text = include_str!("../../../tests/fixtures/raters/itut_p910_demo.csv");
    let row = |line: &str| {
        line.split(',')
            .map(|cell| cell.parse().expect("a number"))
            .collect()
    };
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(row)
        .collect();
    RatingMatrix::from_rows(&rows).expect("rows of equal length")
}

fn matrix(panel: &Panel) -> RatingMatrix {
    let row = |row: &Vec<Option<f64>>| row.iter().map(|o| o.unwrap_or(f64::NAN)).collect();
    let rows: Vec<Vec<f64>> = panel.scores.iter().map(row).collect();
    RatingMatrix::from_rows(&rows).expect("rows of equal length")
}

fn panels() -> Vec<(&'static str, RatingMatrix, Panel)> {
    let Reference {
        demo: theirs,
        dense,
        sparse,
        pairs: _,
    } = reference();
    vec![
        ("demo", demo(), theirs),
        ("dense", matrix(&dense), dense),
        ("sparse", matrix(&sparse), sparse),
    ]
}

fn assert_close(what: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    let most = apart.fold(0.0, f64::max);
    println!("{what}: {} values, at most {most:.1e} apart", ours.len());
    assert!(most <= TOLERANCE, "{what}: {most:e} apart");
}

fn sides(opinions: Vec<Result<Opinion, StatsError>>) -> Result<(Vec<f64>, Vec<f64>), StatsError> {
    let opinions: Vec<Opinion> = opinions.into_iter().collect::<Result<_, _>>()?;
    let ci95: Result<Vec<f64>, _> = opinions
        .iter()
        .map(|opinion| opinion.ci95.clone())
        .collect();
    Ok((opinions.iter().map(|opinion| opinion.mos).collect(), ci95?))
}

#[test]
fn means_rejection_and_bias_removal_equal_sureal_within_1e_9() -> Result<(), StatsError> {
    for (name, ours, theirs) in panels() {
        let opinions = mos_ci95(&ours);
        let stds: Result<Vec<f64>, _> = opinions.iter().map(|o| o.clone()?.std).collect();
        assert_close(&format!("{name} std"), &stds?, &theirs.plain.std);
        let (mos, ci95) = sides(opinions)?;
        assert_close(&format!("{name} MOS"), &mos, &theirs.plain.mos);
        assert_close(&format!("{name} CI95"), &ci95, &theirs.plain.ci95);

        let rejection = bt500(&ours)?;
        let counts = |counts: &[usize]| counts.iter().map(|n| *n as f64).collect::<Vec<_>>();
        assert_eq!(counts(&rejection.above), theirs.bt500.p);
        assert_eq!(counts(&rejection.below), theirs.bt500.q);
        assert_eq!(rejection.is_rejected, theirs.bt500.rejected);
        let (mos, ci95) = sides(screen(&ours, Screening::Bt500)?.pictures)?;
        assert_close(&format!("{name} BT.500 MOS"), &mos, &theirs.bt500.mos);
        assert_close(&format!("{name} BT.500 CI95"), &ci95, &theirs.bt500.ci95);

        let removed = p913_bias(&ours)?;
        let bias: Vec<f64> = removed.bias.iter().flatten().copied().collect();
        assert_close(&format!("{name} P.913 bias"), &bias, &theirs.p913.bias);
        let (mos, ci95) = sides(removed.pictures)?;
        assert_close(&format!("{name} P.913 MOS"), &mos, &theirs.p913.mos);
        assert_close(&format!("{name} P.913 CI95"), &ci95, &theirs.p913.ci95);
    }
    Ok(())
}

#[test]
fn annex_e_equals_sureal_within_1e_9() -> Result<(), StatsError> {
    for (name, ours, theirs) in panels() {
        let (ours, theirs) = (p910_annex_e(&ours)?, theirs.annex_e);
        assert_eq!(ours.num_iterations, theirs.iterations, "{name}");
        for (what, ours, theirs) in [
            ("MOS", &ours.mos, &theirs.mos),
            ("SOS", &ours.sos, &theirs.sos),
            ("bias", &ours.bias, &theirs.bias),
            ("inconsistency", &ours.inconsistency, &theirs.inconsistency),
        ] {
            assert_close(&format!("{name} annex E {what}"), ours, theirs);
        }
    }
    Ok(())
}

#[test]
fn annex_e_gives_the_published_golden_vector() -> Result<(), StatsError> {
    let estimate = p910_annex_e(&demo())?;
    assert_eq!(estimate.num_iterations, 16);
    let ours = [
        estimate.mos[0],
        estimate.sos[0],
        estimate.bias[0],
        estimate.inconsistency[0],
    ];
    let golden = [
        4.926_232_195_563_247,
        0.154_878_517_860_392_1,
        -0.189_852_445_792_81,
        1.833_936_422_009_09,
    ];
    assert_close("golden vector", &ours, &golden);
    Ok(())
}

#[test]
fn correlations_and_agreement_equal_numpy_pingouin_and_krippendorff() -> Result<(), StatsError> {
    for (name, ours, theirs) in panels() {
        let screening = correlation_screening(&ours)?;
        let r: Vec<f64> = screening.correlation.iter().flatten().copied().collect();
        assert_close(&format!("{name} correlation"), &r, &theirs.correlation.r);
        let threshold = theirs.correlation.threshold;
        assert_close(
            &format!("{name} threshold"),
            &[screening.threshold],
            &[threshold],
        );
        let alpha = krippendorff_alpha(&ours)?;
        assert_close(&format!("{name} alpha"), &[alpha], &[theirs.alpha]);
        match theirs.icc2k {
            Some(icc) => assert_close(&format!("{name} ICC(2,k)"), &[icc2k(&ours)?], &[icc]),
            None => assert!(icc2k(&ours).is_err()),
        }
    }
    Ok(())
}

#[test]
fn strengths_and_their_errors_equal_choix_and_statsmodels() -> Result<(), StatsError> {
    for theirs in reference().pairs {
        let mut counts = PairCounts::new(theirs.items);
        for (left, right, won) in theirs.votes {
            counts.add(left, right, won);
        }
        let ours = bradley_terry(&counts, 0.0)?;
        assert_close("strength", &ours.strength, &theirs.strength);
        assert_close("standard error", &ours.std, &theirs.std);
    }
    Ok(())
}
