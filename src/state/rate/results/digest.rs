//! Figures of a study whose raters gave scores, as the screen lists them.

use std::collections::HashMap;

use crate::domain::{Aspect, ContentHash, ImageId, Method, Study};
use crate::jobs::message::Analysis;
use crate::state::Project;
use crate::state::compare::Comparison;
use crate::state::compare::Pair;
use crate::stats;
use crate::stats::StatsError;
use crate::stats::raters::Opinion;
use crate::stats::raters::Panel;
use crate::stats::raters::Screening;
use crate::stats::raters::Verdict;

use super::Order;
use super::pairs::PairRow;

/// Bars of a continuous scale's histogram.
const TENTHS_BARS: usize = 10;

/// A figure with its name, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it means, for the pointer.
    pub hint: &'static str,
    /// The value.
    pub value: Result<f64, StatsError>,
}

/// One rater.
#[derive(Debug, Clone, PartialEq)]
pub struct RaterRow {
    /// The name.
    pub name: String,
    /// Answers that count.
    pub num_votes: usize,
    /// How much higher than the panel the rater scores; for comparisons, the share of left answers.
    pub bias: Result<f64, StatsError>,
    /// Standard deviation of what the bias leaves unexplained; for comparisons, the share of ties.
    pub inconsistency: Result<f64, StatsError>,
    /// What the screening says; for comparisons nobody is screened.
    pub verdict: Option<Verdict>,
    /// Median seconds from picture to answer.
    pub seconds: f64,
    /// Hidden repeats that were answered.
    pub num_repeats: usize,
    /// Mean absolute difference at the repeats; for comparisons, the share that were answered otherwise.
    pub repeat_error: Result<f64, StatsError>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureRow {
    /// The picture.
    pub hash: ContentHash,
    /// Its row in the project, where it is there.
    pub image: Option<ImageId>,
    /// Its path when the study was made.
    pub path: String,
    /// Mean of all ratings.
    pub plain: Result<Opinion, StatsError>,
    /// The score after screening.
    pub screened: Result<Opinion, StatsError>,
    /// How often which answer was given.
    pub histogram: Vec<u32>,
    /// Places that the picture moves up by screening; negative ones down.
    pub rank_change: i64,
}

impl PictureRow {
    /// How much screening moves the score.
    pub fn change(&self) -> Option<f64> {
        Some(self.screened.as_ref().ok()?.mos - self.plain.as_ref().ok()?.mos)
    }
}

/// What screening changes, over all pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Mean absolute change of a score.
    pub mean: f64,
    /// Largest absolute change of a score.
    pub most: f64,
    /// Pictures at another rank.
    pub num_moved: usize,
    /// Rank correlation of the scores before and after.
    pub srcc: Result<f64, StatsError>,
    /// Raters left out.
    pub num_rejected: usize,
}

/// Everything that the screen shows of one study and aspect.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// How ratings became scores.
    pub screening: Screening,
    /// Raters by name.
    pub raters: Vec<RaterRow>,
    /// Pictures in the order asked for; none for comparisons.
    pub pictures: Vec<PictureRow>,
    /// Pictures with their strengths; none for scores.
    pub pairs: Vec<PairRow>,
    /// How far raters agree, with one another and with themselves.
    pub agreement: Vec<Figure>,
    /// Why the screening asked for did not take place.
    pub not_screened: Option<String>,
    /// What screening changes; `None` where there is none.
    pub change: Option<Change>,
    /// Scores by people against the predictor's.
    pub comparison: Comparison,
    /// Answers that count.
    pub num_votes: usize,
    /// Pictures of the study that nobody has rated.
    pub num_unrated: usize,
}

impl Digest {
    /// Puts the pictures into order.
    pub(super) fn sort(&mut self, order: Order) {
        let mos = |row: &PictureRow| {
            row.screened
                .as_ref()
                .map_or(f64::NAN, |opinion| opinion.mos)
        };
        let width = |row: &PictureRow| {
            let opinion = row.screened.as_ref().ok();
            opinion.and_then(|opinion| opinion.ci95.as_ref().ok().copied())
        };
        let key = |row: &PictureRow| {
            let key = match order {
                Order::Best => -mos(row),
                Order::Worst => mos(row),
                Order::Unsure => -width(row).unwrap_or(-1.0),
                Order::Changed => -row.change().unwrap_or(0.0).abs(),
            };
            // A picture without a score comes last, whatever the sign of its NaN.
            (key.is_nan(), key)
        };
        self.pictures.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let strength = |row: &PairRow| match order {
            Order::Worst => row.value(),
            Order::Best | Order::Unsure | Order::Changed => -row.value(),
        };
        self.pairs
            .sort_by(|a, b| strength(a).total_cmp(&strength(b)));
    }
}

/// What the screen shows of a study with scores.
pub(super) fn digest(
    project: &Project,
    study: &Study,
    (analysis, screening): (&Analysis, Screening),
) -> Result<Digest, String> {
    let aspect = analysis.aspect;
    let panel = match &analysis.panel {
        Ok(panel) => panel,
        Err(error) => return Err(format!("{}: {error}", no_votes(aspect))),
    };
    let raters = rater_rows(analysis, panel);
    let not_screened = panel.screened.not_screened.as_ref();
    let not_screened = not_screened.map(ToString::to_string);
    let pictures = picture_rows(project, study, analysis, panel);
    let change = (screening != Screening::None && not_screened.is_none())
        .then(|| change_of(&pictures, &raters));
    Ok(Digest {
        screening,
        comparison: comparison(project, aspect, &pictures),
        agreement: agreement(panel),
        not_screened,
        change,
        num_votes: analysis.num_votes,
        num_unrated: num_unrated(study, pictures.len()),
        raters,
        pictures,
        pairs: Vec::new(),
    })
}

/// What is said where nobody voted.
pub(super) fn no_votes(aspect: Aspect) -> String {
    format!("Nobody has rated {aspect} in this study yet")
}

/// Seconds from picture to answer in the median; 0 for a rater without answers.
pub(super) fn seconds(analysis: &Analysis, rater: &str) -> f64 {
    let habits = analysis.habits.iter().find(|habits| habits.rater == rater);
    habits.map_or(0.0, |habits| habits.median_reaction_ms / 1_000.0)
}

fn rater_rows(analysis: &Analysis, panel: &Panel) -> Vec<RaterRow> {
    let figures = panel.screened.raters.iter().zip(&panel.rater_repeat_mae);
    let tally = &analysis.tally;
    tally
        .raters
        .iter()
        .zip(figures)
        .enumerate()
        .map(|(idx, (name, (figures, repeat_error)))| {
            let repeats = tally.repeats.iter();
            RaterRow {
                name: name.clone(),
                num_votes: figures.num_ratings,
                bias: figures.bias.clone(),
                inconsistency: figures.inconsistency.clone(),
                verdict: Some(figures.verdict.clone()),
                seconds: seconds(analysis, name),
                num_repeats: repeats.filter(|repeat| repeat.rater == idx).count(),
                repeat_error: repeat_error.clone(),
            }
        })
        .collect()
}

/// The pictures of a protocol by their content: a study may have thousands.
pub(super) fn known_paths(study: &Study) -> HashMap<ContentHash, &str> {
    let pictures = study.protocol.pictures.iter();
    pictures
        .map(|picture| (picture.hash, picture.path.as_str()))
        .collect()
}

/// A row for every picture that somebody rated.
fn picture_rows(
    project: &Project,
    study: &Study,
    analysis: &Analysis,
    panel: &Panel,
) -> Vec<PictureRow> {
    let moves = rank_changes(&panel.plain, &panel.screened.pictures);
    let paths = known_paths(study);
    let pictures = analysis.tally.pictures.iter().zip(&analysis.tally.scores);
    let opinions = panel.plain.iter().zip(&panel.screened.pictures);
    pictures
        .zip(opinions)
        .zip(moves)
        .filter(|((_, (plain, _)), _)| plain.is_ok())
        .map(|(((hash, scores), (plain, screened)), rank_change)| {
            let row = project.row_with(*hash);
            let path = paths.get(hash).copied();
            let path = path.or_else(|| row.map(|row| row.record.path.as_str()));
            PictureRow {
                hash: *hash,
                image: row.map(|row| row.record.id),
                path: path.map_or_else(|| hash.to_string(), str::to_owned),
                plain: plain.clone(),
                screened: screened.clone(),
                histogram: histogram(scores, study.protocol.method),
                rank_change,
            }
        })
        .collect()
}

/// Places that each picture moves up among those that have both scores; 0 for the others.
fn rank_changes(
    plain: &[Result<Opinion, StatsError>],
    screened: &[Result<Opinion, StatsError>],
) -> Vec<i64> {
    let both: Vec<(usize, f64, f64)> = plain
        .iter()
        .zip(screened)
        .enumerate()
        .filter_map(|(idx, (plain, screened))| {
            Some((idx, plain.as_ref().ok()?.mos, screened.as_ref().ok()?.mos))
        })
        .collect();
    let before = ranks(&both.iter().map(|both| both.1).collect::<Vec<_>>());
    let after = ranks(&both.iter().map(|both| both.2).collect::<Vec<_>>());
    let mut moves = vec![0; plain.len()];
    for (place, (idx, _, _)) in both.iter().enumerate() {
        moves[*idx] = before[place] - after[place];
    }
    moves
}

/// Place of each score, the best first; equal scores share a place.
fn ranks(scores: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut ranks = vec![0; scores.len()];
    let mut rank = 0;
    for (place, &idx) in order.iter().enumerate() {
        let is_tied = place > 0 && scores[order[place - 1]].total_cmp(&scores[idx]).is_eq();
        if !is_tied {
            rank = place as i64;
        }
        ranks[idx] = rank;
    }
    ranks
}

fn histogram(scores: &[f64], method: Method) -> Vec<u32> {
    let scale = method.scale();
    let num_bars = match method {
        Method::Acr5 => 5,
        Method::Continuous | Method::Pairs => TENTHS_BARS,
    };
    let mut bars = vec![0; num_bars];
    for &score in scores.iter().filter(|score| !score.is_nan()) {
        let bar = match method {
            Method::Acr5 => (score - scale.min).round() as usize,
            _ => (scale.fraction(score) * num_bars as f64) as usize,
        };
        bars[bar.min(num_bars - 1)] += 1;
    }
    bars
}

fn change_of(pictures: &[PictureRow], raters: &[RaterRow]) -> Change {
    let both: Vec<(f64, f64)> = pictures
        .iter()
        .filter_map(|row| {
            Some((
                row.plain.as_ref().ok()?.mos,
                row.screened.as_ref().ok()?.mos,
            ))
        })
        .collect();
    let (before, after): (Vec<f64>, Vec<f64>) = both.iter().copied().unzip();
    let changes: Vec<f64> = both.iter().map(|(a, b)| (b - a).abs()).collect();
    let is_rejected = |row: &&RaterRow| {
        let verdict = row.verdict.as_ref();
        verdict.is_some_and(|verdict| verdict.is_rejected)
    };
    Change {
        mean: changes.iter().sum::<f64>() / changes.len().max(1) as f64,
        most: changes.iter().copied().fold(0.0, f64::max),
        num_moved: pictures.iter().filter(|row| row.rank_change != 0).count(),
        srcc: stats::srcc(&after, &before),
        num_rejected: raters.iter().filter(is_rejected).count(),
    }
}

fn agreement(panel: &Panel) -> Vec<Figure> {
    vec![
        Figure {
            name: "ICC(2,k)",
            hint: "How reliable the mean of all raters is, over the pictures that every rater rated",
            value: panel.icc2k.clone(),
        },
        Figure {
            name: "Krippendorff's alpha",
            hint: "How far raters agree beyond chance, interval scale; 1 is perfect",
            value: panel.alpha.clone(),
        },
        Figure {
            name: "Repeat error",
            hint: "Mean absolute difference between the two answers to a hidden repeat, on the study's scale",
            value: panel.repeat_mae.clone(),
        },
        Figure {
            name: "Test-retest SRCC",
            hint: "Rank correlation of the two answers to the hidden repeats",
            value: panel.test_retest.clone(),
        },
    ]
}

fn comparison(project: &Project, aspect: Aspect, pictures: &[PictureRow]) -> Comparison {
    let pair = |picture: &PictureRow| {
        let image = picture.image?;
        Some(Pair {
            image,
            truth: picture.screened.as_ref().ok()?.mos,
            predicted: project.row(image)?.predicted(aspect)?,
        })
    };
    Comparison::of_pairs(pictures.iter().filter_map(pair).collect())
}

fn num_unrated(study: &Study, num_rated: usize) -> usize {
    match study.is_quick {
        true => 0,
        false => study
            .protocol
            .rated_pictures()
            .len()
            .saturating_sub(num_rated),
    }
}
