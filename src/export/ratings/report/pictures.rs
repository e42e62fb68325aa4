//! Scores of pictures: how votes lie, means with intervals, what screening changes, and every picture.

use super::charts;
use super::charts::Mean;
use super::html::Cell;
use super::html::Page;
use super::html::figure;
use super::html::number;
use super::html::shortened;
use crate::domain::Method;
use crate::domain::OpinionScale;
use crate::domain::grouped;
use crate::export::ratings::Analysis;
use crate::export::ratings::StudyRecord;
use crate::export::ratings::analysis::median;
use crate::stats::StatsError;
use crate::stats::raters::Opinion;
use crate::stats::raters::Panel;
use crate::stats::raters::Screening;

/// Characters of a prompt that a row of the table shows.
const LONGEST_PROMPT: usize = 160;

/// Votes and means at a glance.
pub(super) fn overview(
    page: &mut Page,
    record: &StudyRecord<'_>,
    analysis: &Analysis,
    panel: &Panel,
) {
    let scale = record.study.protocol.method.scale();
    let scores = &analysis.tally.scores;
    let mut per_picture: Vec<f64> = scores
        .iter()
        .map(|row| row.iter().filter(|score| !score.is_nan()).count() as f64)
        .collect();
    let fewest = per_picture.iter().copied().fold(f64::INFINITY, f64::min);
    let most = per_picture.iter().copied().fold(0.0, f64::max);
    page.paragraph(&format!(
        "{} pictures, {} raters; {} votes a picture in the median, from {} to {}. Scale {scale}.",
        grouped(scores.len()),
        analysis.tally.raters.len(),
        number(median(&mut per_picture), 0),
        number(fewest, 0),
        number(most, 0)
    ));
    let all: Vec<f64> = scores.iter().flatten().copied().collect();
    let bins = Bins::of(record.study.protocol.method);
    page.chart(
        &charts::histogram(&bins.count(&all), &bins.labels()),
        "All votes that count, before screening.",
    );
    let means: Vec<Mean> = panel.screened.pictures.iter().flatten().map(mean).collect();
    page.chart(
        &charts::ordered_means(&means, scale),
        &format!(
            "Mean opinion scores of {} pictures from the lowest to the highest, with their 95 % confidence intervals \
             ({}, scale {scale}).",
            means.len(),
            panel.screened.screening.label()
        ),
    );
}

/// What screening changes.
pub(super) fn changes(page: &mut Page, record: &StudyRecord<'_>, panel: &Panel) {
    let is_plain = panel.screened.screening == Screening::None;
    if is_plain || panel.screened.not_screened.is_some() {
        return;
    }
    let both = panel.plain.iter().zip(&panel.screened.pictures);
    let pairs: Vec<(f64, f64)> = both
        .filter_map(|(plain, screened)| {
            Some((plain.as_ref().ok()?.mos, screened.as_ref().ok()?.mos))
        })
        .collect();
    if pairs.is_empty() {
        return;
    }
    page.heading(3, "What screening changes");
    let apart = || {
        pairs
            .iter()
            .map(|(plain, screened)| (screened - plain).abs())
    };
    page.chart(
        &charts::changes(&pairs, record.study.protocol.method.scale()),
        &format!(
            "Plain means (across) against scores after {} (up), {} pictures. On the dashed line nothing changes; the \
             mean change is {}, the largest {}.",
            panel.screened.screening.label(),
            pairs.len(),
            number(apart().sum::<f64>() / pairs.len() as f64, 3),
            number(apart().fold(0.0, f64::max), 3)
        ),
    );
}

/// Every picture with its score, interval and votes.
pub(super) fn table(page: &mut Page, record: &StudyRecord<'_>, analysis: &Analysis, panel: &Panel) {
    let scale = record.study.protocol.method.scale();
    let bins = Bins::of(record.study.protocol.method);
    page.heading(3, "Pictures");
    let rows: Vec<Vec<Cell>> = analysis
        .tally
        .pictures
        .iter()
        .zip(&analysis.tally.scores)
        .zip(panel.screened.pictures.iter().zip(&panel.plain))
        .map(|((hash, scores), (screened, plain))| {
            let of = |opinion: &Result<Opinion, StatsError>, decimals| {
                Cell::figure(opinion.as_ref().map(|opinion| &opinion.mos), decimals)
            };
            let opinion = screened.as_ref();
            vec![
                Cell::Path(record.path(*hash)),
                Cell::Text(shortened(record.prompt(*hash), LONGEST_PROMPT)),
                of(screened, 3),
                Cell::Number(opinion.map_or_else(
                    |_| "undefined".to_owned(),
                    |opinion| figure(opinion.ci95.as_ref(), 3),
                )),
                Cell::Number(opinion.map_or_else(
                    |_| "undefined".to_owned(),
                    |opinion| figure(opinion.std.as_ref(), 2),
                )),
                Cell::number(scores.iter().filter(|score| !score.is_nan()).count()),
                of(plain, 3),
                Cell::Chart(charts::small_histogram(&bins.count(scores))),
            ]
        })
        .collect();
    page.table(
        &[
            "Picture",
            "Prompt",
            "MOS",
            "CI95 \u{b1}",
            "SD",
            "n",
            "Plain mean",
            "Votes",
        ],
        &rows,
    );
    page.paragraph(&format!(
        "MOS after screening, with half the width of its 95 % confidence interval; SD is the standard deviation of the \
         votes, n their number before screening. Scale {scale}. An undefined interval belongs to a picture with one \
         vote, an undefined score to one without."
    ));
}

fn mean(opinion: &Opinion) -> Mean {
    Mean {
        value: opinion.mos,
        half: opinion.ci95.clone().ok(),
    }
}

/// How votes are counted for a histogram: one bin an answer where there are few, half a point wide elsewhere.
struct Bins {
    scale: OpinionScale,
    num: usize,
    is_category: bool,
}

impl Bins {
    fn of(method: Method) -> Self {
        let scale = method.scale();
        let is_category = method != Method::Continuous;
        let width = scale.max - scale.min;
        Self {
            scale,
            num: if is_category {
                (width / method.step()).round() as usize + 1
            } else {
                (2.0 * width).round() as usize
            },
            is_category,
        }
    }

    fn count(&self, scores: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.num];
        for score in scores.iter().filter(|score| !score.is_nan()) {
            let share = self.scale.fraction(*score);
            let bin = if self.is_category {
                (share * (self.num - 1) as f64).round()
            } else {
                // A hair more, so that 0.3 / 0.1 and the like do not fall into the bin below.
                (share * self.num as f64 + 1e-9).floor()
            };
            counts[(bin as usize).min(self.num - 1)] += 1;
        }
        counts
    }

    fn labels(&self) -> Vec<String> {
        let width = self.scale.max - self.scale.min;
        (0..self.num)
            .map(|bin| {
                if self.is_category {
                    let value = self.scale.min + bin as f64 * width / (self.num - 1) as f64;
                    let word = Method::WORDS.get(bin).copied().unwrap_or_default();
                    format!("{} {word}", number(value, 0))
                } else {
                    number(self.scale.min + bin as f64 * width / self.num as f64, 1)
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_words_have_five_bins() {
        let bins = Bins::of(Method::Acr5);
        assert_eq!(bins.count(&[1.0, 5.0, 5.0, 3.0, f64::NAN]), [1, 0, 1, 0, 2]);
        assert_eq!(bins.labels()[4], "5 Excellent");
    }

    #[test]
    fn a_continuous_scale_has_bins_of_half_a_point_closed_at_the_top() {
        let bins = Bins::of(Method::Continuous);
        assert_eq!(
            bins.count(&[0.0, 0.4, 0.5, 4.9, 5.0]),
            [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
        );
        assert_eq!(bins.labels()[1], "0.5");
    }
}
