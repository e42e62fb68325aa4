//! All figures of one comparison at once.

use super::StatsError;
use super::correlation::{krcc, plcc, srcc};
use super::deviation::{mae, rmse};
use super::fit::{plcc_fit4, plcc_fit5};

/// How well predictions follow the truth; every figure is there or says why it is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Number of pictures behind the figures.
    pub n: usize,
    /// Spearman's rank correlation.
    pub srcc: Result<f64, StatsError>,
    /// Pearson's correlation of the raw predictions.
    pub plcc: Result<f64, StatsError>,
    /// Pearson's correlation after the four-parameter logistic map.
    pub plcc_fit4: Result<f64, StatsError>,
    /// Pearson's correlation after the five-parameter logistic map.
    pub plcc_fit5: Result<f64, StatsError>,
    /// Kendall's tau-b.
    pub krcc: Result<f64, StatsError>,
    /// Root mean square error, on the scale of the truth.
    pub rmse: Result<f64, StatsError>,
    /// Mean absolute error, on the scale of the truth.
    pub mae: Result<f64, StatsError>,
}

impl Agreement {
    /// Why the first undefined figure is undefined; `None` where all are there.
    pub fn reason(&self) -> Option<String> {
        let figures = [
            &self.srcc,
            &self.plcc,
            &self.plcc_fit4,
            &self.plcc_fit5,
            &self.krcc,
            &self.rmse,
            &self.mae,
        ];
        let error = figures.into_iter().find_map(|figure| figure.as_ref().err());
        error.map(ToString::to_string)
    }
}

/// Holds predictions against the truth with every figure there is.
pub fn agreement(pred: &[f64], truth: &[f64]) -> Agreement {
    Agreement {
        n: pred.len(),
        srcc: srcc(pred, truth),
        plcc: plcc(pred, truth),
        plcc_fit4: plcc_fit4(pred, truth),
        plcc_fit5: plcc_fit5(pred, truth),
        krcc: krcc(pred, truth),
        rmse: rmse(pred, truth),
        mae: mae(pred, truth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_leave_the_error_defined_and_say_why_the_rest_is_not() {
        let figures = agreement(&[2.0; 6], &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        assert_eq!(figures.srcc, Err(StatsError::AllEqual));
        assert!(figures.rmse.is_ok());
        assert_eq!(
            figures.reason().as_deref(),
            Some("no correlation: all scores equal")
        );
    }
}
