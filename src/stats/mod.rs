//! Correlations, fits, bootstrap and classification figures. Slices in, `Result` out.
