//! Ratings as a table: rows are pictures, columns are raters.

use crate::stats::StatsError;

/// Opinion scores of pictures (rows) by raters (columns); NaN where a rater did not rate a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingMatrix {
    values: Vec<f64>,
    num_pictures: usize,
    num_raters: usize,
}

impl RatingMatrix {
    /// Takes rows of equal length. An infinite score is refused; NaN means that there is none.
    pub fn from_rows(rows: &[Vec<f64>]) -> Result<Self, StatsError> {
        let num_raters = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().find(|row| row.len() != num_raters) {
            return Err(StatsError::LengthMismatch {
                left: num_raters,
                right: row.len(),
            });
        }
        let values: Vec<f64> = rows.iter().flatten().copied().collect();
        if let Some(position) = values.iter().position(|value| value.is_infinite()) {
            return Err(StatsError::NotFinite { position });
        }
        Ok(Self {
            values,
            num_pictures: rows.len(),
            num_raters,
        })
    }

    /// Number of pictures.
    pub const fn num_pictures(&self) -> usize {
        self.num_pictures
    }

    /// Number of raters.
    pub const fn num_raters(&self) -> usize {
        self.num_raters
    }

    /// Number of ratings that there are.
    pub fn num_ratings(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// The score of a picture by a rater; NaN where there is none.
    ///
    /// # Panics
    /// If either is outside the table.
    pub fn get(&self, picture: usize, rater: usize) -> f64 {
        assert!(rater < self.num_raters, "rater {rater} is outside");
        self.values[picture * self.num_raters + rater]
    }

    /// A picture's scores, NaN included.
    pub fn row(&self, picture: usize) -> &[f64] {
        &self.values[picture * self.num_raters..(picture + 1) * self.num_raters]
    }

    /// All pictures' scores, NaN included.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.num_pictures).map(|picture| self.row(picture))
    }

    /// A rater's scores, NaN included.
    pub fn column(&self, rater: usize) -> impl Iterator<Item = f64> + '_ {
        (0..self.num_pictures).map(move |picture| self.get(picture, rater))
    }

    /// The scores that a picture has.
    pub fn scores(&self, picture: usize) -> Vec<f64> {
        present(self.row(picture).iter().copied())
    }

    /// How many pictures a rater rated.
    pub fn num_rated(&self, rater: usize) -> usize {
        self.column(rater).filter(|value| !value.is_nan()).count()
    }

    /// The table without the raters that `keep` is false for.
    pub fn keep_raters(&self, keep: &[bool]) -> Self {
        let kept = keep.iter().filter(|is_kept| **is_kept).count();
        let values = self.rows().flat_map(|row| {
            let pairs = row.iter().zip(keep);
            pairs
                .filter(|(_, is_kept)| **is_kept)
                .map(|(value, _)| *value)
        });
        Self {
            values: values.collect(),
            num_pictures: self.num_pictures,
            num_raters: kept,
        }
    }

    /// Every score as `change` makes it, from picture, rater and score; what there is none of stays so.
    pub(super) fn map(&self, change: impl Fn(usize, usize, f64) -> f64) -> Self {
        let values = (0..self.values.len()).map(|at| {
            let (picture, rater) = (at / self.num_raters, at % self.num_raters);
            change(picture, rater, self.values[at])
        });
        Self {
            values: values.collect(),
            ..*self
        }
    }
}

/// Whether no score differs from the first; equality is asked of the values, as sums leave a residue of rounding.
pub(super) fn all_equal(mut scores: impl Iterator<Item = f64>) -> bool {
    scores
        .next()
        .is_none_or(|first| scores.all(|score| score.total_cmp(&first).is_eq()))
}

/// What there is of scores.
pub(super) fn present(scores: impl Iterator<Item = f64>) -> Vec<f64> {
    scores.filter(|score| !score.is_nan()).collect()
}

/// The mean of what there is; `None` where there is nothing.
pub(super) fn mean(scores: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut num) = (0.0, 0_u32);
    for score in scores.filter(|score| !score.is_nan()) {
        sum += score;
        num += 1;
    }
    (num > 0).then(|| sum / f64::from(num))
}

/// A score without the digits that arithmetic leaves behind. The order in which ratings were added up, or the weights
/// that cancel out again, move the 16th digit; the same opinion has to be the same number, or ranks part ties. Estimates
/// that are iterated settle to 1e-8, so nothing that was measured goes.
pub(super) fn settled(score: f64) -> f64 {
    // Adding 0 makes a negative zero a zero.
    (score * 1e10).round() / 1e10 + 0.0
}

/// The standard deviation of what there is, divided by n less `ddof`; `None` where that is nothing.
pub(super) fn std(scores: &[f64], ddof: usize) -> Option<f64> {
    let degrees = scores.len().checked_sub(ddof).filter(|num| *num > 0)?;
    let mean = mean(scores.iter().copied())?;
    let sum: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    Some((sum / degrees as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_unequal_length_and_infinite_scores_are_refused() {
        assert_eq!(
            RatingMatrix::from_rows(&[vec![1.0, 2.0], vec![1.0]]),
            Err(StatsError::LengthMismatch { left: 2, right: 1 })
        );
        assert_eq!(
            RatingMatrix::from_rows(&[vec![1.0, f64::INFINITY]]),
            Err(StatsError::NotFinite { position: 1 })
        );
    }

    #[test]
    fn what_rounding_left_behind_is_taken_off() {
        let sums: [f64; 2] = [0.1 + 0.2, 0.3];
        assert!(sums[0].total_cmp(&sums[1]).is_ne(), "rounding parts them");
        assert!(settled(sums[0]).total_cmp(&settled(sums[1])).is_eq());
        assert!(settled(-1e-13).total_cmp(&0.0).is_eq());
    }

    #[test]
    fn leaving_a_rater_out_leaves_the_others_in_place() -> Result<(), StatsError> {
        let matrix = RatingMatrix::from_rows(&[vec![1.0, 2.0, 3.0], vec![4.0, f64::NAN, 6.0]])?;
        assert_eq!(matrix.num_ratings(), 5);
        assert_eq!(matrix.num_rated(1), 1);
        let kept = matrix.keep_raters(&[true, false, true]);
        assert_eq!((kept.num_pictures(), kept.num_raters()), (2, 2));
        assert_eq!(kept.row(1), [4.0, 6.0]);
        assert_eq!(matrix.scores(1), [4.0, 6.0]);
        Ok(())
    }
}
