//! Predictions held against ground truth, as the rest of the program stores it.

use crate::domain::Figures;
use crate::stats::agreement;

/// All figures of one comparison; undefined ones are `None` and the first reason is kept.
pub fn figures(pred: &[f64], truth: &[f64]) -> Figures {
    let agreement = agreement(pred, truth);
    Figures {
        n: agreement.n,
        reason: agreement.reason(),
        srcc: agreement.srcc.ok(),
        plcc: agreement.plcc.ok(),
        plcc_fit4: agreement.plcc_fit4.ok(),
        plcc_fit5: agreement.plcc_fit5.ok(),
        krcc: agreement.krcc.ok(),
        rmse: agreement.rmse.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undefined_correlation_is_none_with_its_reason() {
        let figures = figures(&[1.0; 8], &[1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0, 3.0]);
        assert_eq!((figures.n, figures.srcc), (8, None));
        assert!(figures.rmse.is_some());
        assert_eq!(
            figures.reason.as_deref(),
            Some("no correlation: all scores equal")
        );
    }
}
