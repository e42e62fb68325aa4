//! Two sets of test predictions held against each other: two runs, or one run and the predictor before it.

use super::{Aspect, ContentHash, Figures, ImageId, RunId};

/// What was said of one picture of a run's test list.
#[derive(Debug, Clone, PartialEq)]
pub struct TestPrediction {
    /// The picture.
    pub image: ImageId,
    /// Its content when it was scored.
    pub hash: ContentHash,
    /// The ground truth that the run was tested against.
    pub mos: f64,
    /// What the predictor in use before the run said; `None` where there was none.
    pub before: Option<f64>,
    /// What the run's predictor says; `None` until the run has ended.
    pub after: Option<f64>,
}

/// Which predictions are held against which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contest {
    /// A run's predictor against the one in use before it.
    BeforeAfter(RunId),
    /// The predictor of the second run against that of the first.
    Runs(RunId, RunId),
}

/// A percentile interval of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A figure of one side with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranged {
    /// The figure.
    pub value: f64,
    /// Its bootstrap interval.
    pub range: Range,
}

/// One figure of both sides and its difference, by the paired bootstrap over the same pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedFigure {
    /// First side.
    pub first: Ranged,
    /// Second side.
    pub second: Ranged,
    /// Second minus first.
    pub difference: Ranged,
    /// Two-sided p-value of no difference.
    pub p_value: f64,
}

/// A test picture of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested {
    /// The picture.
    pub image: ImageId,
    /// Its ground truth.
    pub mos: f64,
    /// What the first side says, where there is one.
    pub first: Option<f64>,
    /// What the second side says.
    pub second: f64,
}

impl Tested {
    /// How much smaller the second side's error is, in points of the scale; below 0 where it grew.
    pub fn gain(&self) -> Option<f64> {
        let error = |value: f64| (value - self.mos).abs();
        Some(error(self.first?) - error(self.second))
    }
}

/// One figure, in each form in which it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureReport {
    /// Name as the field writes it, e.g. "SRCC".
    pub name: &'static str,
    /// The second side alone; why not, where it is undefined.
    pub alone: Result<Ranged, String>,
    /// Both sides; why not, where there is no first side or the figure is undefined.
    pub paired: Result<PairedFigure, String>,
}

/// A contest with all that is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// Which predictions.
    pub contest: Contest,
    /// The aspect; `None` where two runs score different ones, and nothing is compared.
    pub aspect: Option<Aspect>,
    /// Figures of the first side on the pictures of both.
    pub first: Option<Figures>,
    /// Figures of the second side on the same pictures.
    pub second: Figures,
    /// SRCC, PLCC and RMSE.
    pub figures: Vec<FigureReport>,
    /// The pictures, those whose error changed most first.
    pub pictures: Vec<Tested>,
    /// What was left out and why, in sentences.
    pub notes: Vec<String>,
    /// Number of resamples.
    pub resamples: usize,
}
