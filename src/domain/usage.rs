//! Room on the disk.

/// Room that cached features take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeatureUsage {
    /// Conversations whose features are there.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl FeatureUsage {
    /// Bytes that so many more may take, if they are like those that are there; `None` where none is.
    pub fn bytes_of(self, num: usize) -> Option<u64> {
        (self.files > 0).then(|| (self.bytes as f64 / self.files as f64 * num as f64) as u64)
    }
}
