//! Tables out.
