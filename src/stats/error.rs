//! Why a figure is undefined.

/// A figure that does not exist for this input, and why. Undefined is an answer: it is never replaced by a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// Predictions and truth are not one to one.
    #[error("{left} values against {right}: both sides must have the same number")]
    LengthMismatch {
        /// Values on the left side.
        left: usize,
        /// Values on the right side.
        right: usize,
    },
    /// Too few pictures for this figure.
    #[error("at least {needed} pictures are needed, there are {got}")]
    TooFew {
        /// How many this figure needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// A value that is no number, or infinite.
    #[error("value {position} is not a finite number")]
    NotFinite {
        /// Position of the first such value, counted from 0.
        position: usize,
    },
    /// One side does not vary, so nothing can go along with it.
    #[error("no correlation: all scores equal")]
    AllEqual,
    /// A class number outside the classes.
    #[error("class {got} of value {position} is outside the {classes} classes")]
    UnknownClass {
        /// Position of the value, counted from 0.
        position: usize,
        /// The class that came.
        got: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A curve could not be fitted.
    #[error("no fit: {0}")]
    NoFit(&'static str),
    /// A panel of too few raters for this figure.
    #[error("at least {needed} raters are needed, there {} {got}", is_or_are(*got))]
    TooFewRaters {
        /// How many this figure needs.
        needed: usize,
        /// How many rated anything.
        got: usize,
    },
    /// Too few ratings of a picture, or by a rater.
    #[error("at least {needed} ratings are needed, there {} {got}", is_or_are(*got))]
    TooFewRatings {
        /// How many this figure needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// Raters rated different pictures, so that they cannot be held against each other.
    #[error("at least {needed} pictures that several raters rated are needed, there {} {got}", is_or_are(*got))]
    TooFewShared {
        /// How many this figure needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// All ratings are the same, so agreement cannot be told from a constant.
    #[error("no agreement figure: all ratings are equal")]
    NoSpread,
    /// No picture was shown twice to the same rater.
    #[error("no picture was rated twice by the same rater")]
    NoRepeats,
    /// Pictures that comparisons do not hold together: some set of them always won, or was never compared.
    #[error(
        "no finite strengths: picture {picture} and others never lost to the rest, or were never compared with them"
    )]
    NotConnected {
        /// One of the set, counted from 0.
        picture: usize,
    },
    /// A share or level outside its range.
    #[error("expected a confidence level between 0 and 1, got {0}")]
    BadLevel(String),
}

const fn is_or_are(num: usize) -> &'static str {
    if num == 1 { "is" } else { "are" }
}

/// The two sides have the same length, at least `needed` values, and only finite ones.
pub(super) fn check_pair(left: &[f64], right: &[f64], needed: usize) -> Result<(), StatsError> {
    if left.len() != right.len() {
        return Err(StatsError::LengthMismatch {
            left: left.len(),
            right: right.len(),
        });
    }
    if left.len() < needed {
        return Err(StatsError::TooFew {
            needed,
            got: left.len(),
        });
    }
    let bad = |pair: (&f64, &f64)| !pair.0.is_finite() || !pair.1.is_finite();
    match left.iter().zip(right).position(bad) {
        Some(position) => Err(StatsError::NotFinite { position }),
        None => Ok(()),
    }
}
