//! Who rated, how they were screened, and how far they agree.

use super::html::Cell;
use super::html::Page;
use super::html::number;
use crate::export::ratings::Analysis;
use crate::stats::StatsError;
use crate::stats::raters::Panel;
use crate::stats::raters::RatingMatrix;
use crate::stats::raters::Screening;
use crate::stats::raters::screen;

/// The raters and what the screening says of each.
pub(super) fn section(page: &mut Page, analysis: &Analysis, panel: &Panel) {
    page.heading(3, "Raters and screening");
    let screened = &panel.screened;
    page.paragraph(&match &screened.not_screened {
        Some(why) => format!(
            "{} was asked for and is undefined here: {why}. Scores are plain means.",
            screened.screening.label()
        ),
        None => format!("{}: {}.", screened.screening.label(), result_words(panel)),
    });
    let rows = analysis
        .tally
        .raters
        .iter()
        .zip(&screened.raters)
        .enumerate();
    let rows: Vec<Vec<Cell>> = rows
        .map(|(idx, (name, rater))| {
            let habits = analysis.habits.iter().find(|habits| habits.rater == *name);
            let seconds = habits.map_or_else(String::new, |habits| {
                number(habits.median_reaction_ms / 1000.0, 1)
            });
            let sessions = habits.map_or(0, |habits| habits.num_sessions);
            let verdict = if rater.verdict.is_rejected {
                "Rejected"
            } else {
                "Kept"
            };
            vec![
                Cell::Name(name.clone()),
                Cell::number(rater.num_ratings),
                Cell::number(sessions),
                Cell::Number(seconds),
                Cell::figure(rater.bias.as_ref(), 2),
                Cell::figure(rater.inconsistency.as_ref(), 2),
                Cell::figure(rater.correlation.as_ref(), 3),
                Cell::figure(panel.rater_repeat_mae[idx].as_ref(), 2),
                Cell::Text(format!("{verdict}: {}", rater.verdict.reason)),
            ]
        })
        .collect();
    page.table(
        &[
            "Rater",
            "Votes",
            "Sessions",
            "Seconds a vote",
            "Bias",
            "Inconsistency",
            "Correlation",
            "Repeat MAE",
            "Screening",
        ],
        &rows,
    );
    others(page, analysis, panel);
    page.paragraph(
        "Bias is how much higher than the panel a rater scores, inconsistency the standard deviation of what bias \
         leaves unexplained, both on the scale of the votes; seconds are medians; correlation is Pearson's, with the \
         panel's means.",
    );
}

/// Whom the screenings that reject would leave out, where another was chosen: nobody should have to take one for it.
fn others(page: &mut Page, analysis: &Analysis, panel: &Panel) {
    let Ok(matrix) = RatingMatrix::from_rows(&analysis.tally.scores) else {
        return;
    };
    for screening in [Screening::Bt500, Screening::Correlation] {
        if panel.screened.screening == screening {
            continue;
        }
        let words = match screen(&matrix, screening) {
            Ok(other) if other.not_screened.is_none() => {
                let raters = analysis.tally.raters.iter().zip(&other.raters);
                let rejected: Vec<String> = raters
                    .filter(|(_, rater)| rater.verdict.is_rejected)
                    .map(|(name, rater)| format!("{name}: {}", rater.verdict.reason))
                    .collect();
                match rejected.is_empty() {
                    true => "nobody".to_owned(),
                    false => rejected.join("; "),
                }
            }
            _ => continue,
        };
        page.paragraph(&format!("{} would leave out {words}.", screening.label()));
    }
}

fn result_words(panel: &Panel) -> String {
    let rejected = panel.screened.raters.iter();
    let num_rejected = rejected.filter(|rater| rater.verdict.is_rejected).count();
    let num = panel.screened.raters.len();
    let rounds = panel
        .screened
        .num_iterations
        .map_or_else(String::new, |rounds| {
            format!(", settled after {rounds} rounds")
        });
    match num_rejected {
        0 => format!("none of {num} raters was rejected{rounds}"),
        rejected => format!("{rejected} of {num} raters were rejected{rounds}"),
    }
}

/// How far raters agree with one another and with themselves.
pub(super) fn agreement(page: &mut Page, analysis: &Analysis, panel: &Panel) {
    page.heading(3, "Agreement");
    let tally = &analysis.tally;
    let num_raters = tally.raters.len();
    let rated = || {
        tally
            .scores
            .iter()
            .map(|row| row.iter().filter(|o| !o.is_nan()).count())
    };
    let num_whole = rated().filter(|num| *num == num_raters).count();
    let num_shared = rated().filter(|num| *num > 1).count();
    let num_repeats = tally.repeats.len();
    let row = |name: &str, figure: &Result<f64, StatsError>, n: String, says: &str| {
        let says = match figure {
            Ok(_) => says.to_owned(),
            Err(why) => format!("undefined: {why}"),
        };
        vec![
            Cell::text(name),
            Cell::figure(figure.as_ref(), 3),
            Cell::Text(n),
            Cell::Text(says),
        ]
    };
    let whole = format!("{num_whole} pictures, {num_raters} raters");
    let shared = format!("{num_shared} pictures, {num_raters} raters");
    let repeats = format!("{num_repeats} repeats");
    page.table(
        &["Figure", "Value", "n", "What it says"],
        &[
            row(
                "ICC(2,k)",
                &panel.icc2k,
                whole,
                "how reliable the panel's mean is; 1 is perfect",
            ),
            row(
                "Krippendorff's alpha",
                &panel.alpha,
                shared,
                "how far single raters agree beyond chance; 1 is perfect, 0 is chance",
            ),
            row(
                "Hidden repeats, MAE",
                &panel.repeat_mae,
                repeats.clone(),
                "how far a rater's second score is from the first, on the scale of the votes",
            ),
            row(
                "Test-retest SRCC",
                &panel.test_retest,
                repeats,
                "how far raters put repeats in the same order again",
            ),
        ],
    );
}
