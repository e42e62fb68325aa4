//! The native window: owns workers and state.
