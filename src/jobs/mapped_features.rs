//! Features that stay in the cache's files: mapped into memory, checked once, and read from there step by step.

use std::ops::Range;
use std::sync::Arc;

use crate::compute::MappedFile;
use crate::domain::Features;
use crate::domain::Halves;
use crate::domain::LentHalves;
use crate::store::FeatureCache;
use crate::store::FeatureKey;

/// Values inside a mapped file.
#[derive(Debug)]
struct Mapped {
    file: MappedFile,
    values: Range<usize>,
}

impl LentHalves for Mapped {
    fn halves(&self) -> &[half::f16] {
        self.file.halves(self.values.clone()).unwrap_or_default()
    }

    fn problem(&self) -> Option<String> {
        self.file.problem()
    }
}

/// The features of a key where they lie; `None` where there are none that can be trusted. Their checksum is taken now, and
/// not again.
pub(super) fn open(cache: &FeatureCache, key: &FeatureKey) -> Option<Features> {
    let file = MappedFile::open(&cache.path(key)).ok()?;
    let (num_tokens, hidden, values) = FeatureCache::shape(file.bytes())?;
    // A machine of another order of bytes reads them into memory.
    if file.halves(values.clone()).is_none() {
        return cache.get(key);
    }
    Some(Features {
        num_tokens,
        hidden,
        values: Halves::lent(Arc::new(Mapped { file, values })),
    })
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::domain::ContentHash;
    use crate::domain::Conversation;

    #[test]
    fn mapped_features_are_those_that_were_put_and_tell_when_they_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path());
        let conversation = Conversation {
            request: "a".to_owned(),
            description: "b".to_owned(),
            question: "c".to_owned(),
        };
        let key = FeatureKey::new(
            ContentHash([7; 32]),
            ("model", "f32"),
            &conversation.messages(),
            512,
        );
        assert!(open(&cache, &key).is_none());
        let features = Features {
            num_tokens: 5,
            hidden: 3,
            values: (0..15).map(|at| f16::from_f32(at as f32 / 7.0)).collect(),
        };
        cache.put(&key, &features).unwrap();
        let mapped = open(&cache, &key).unwrap();
        assert!(mapped.values.is_lent());
        assert_eq!(mapped, features);
        assert_eq!(mapped.values.problem(), None);
        std::fs::remove_file(cache.path(&key)).unwrap();
        let problem = mapped.values.problem().unwrap();
        assert!(problem.contains("train again"), "{problem}");
        assert_eq!(mapped, features, "what is mapped can still be read");
    }
}
