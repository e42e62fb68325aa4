//! The project file and the feature cache beside it.
