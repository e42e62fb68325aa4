//! Hidden states on disk, so that scoring and training never run the language model twice for the same thing.

use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use half::f16;
use sha2::Digest as _;
use sha2::Sha256;

use super::StoreError;
use super::cache;
use crate::domain::ContentHash;
use crate::domain::Features;

const MAGIC: [u8; 4] = *b"ASYF";

/// The form of single precision.
const SINGLE: &str = "f32";

/// Digits of the model's hash that name its folder.
const MODEL_PREFIX_LEN: usize = 16;

/// Everything that features depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeatureKey {
    /// The picture.
    pub image: ContentHash,
    /// The MLLM, as [`crate::domain::ModelTag`] has it.
    pub model_sha256: String,
    /// The form of its weights by its word of `--dtype`: quantised weights give other hidden states.
    pub form: String,
    /// SHA-256 of the messages that are read.
    pub conversation: [u8; 32],
    /// Limit on tokens, where the sequence is cut.
    pub max_len: usize,
}

impl FeatureKey {
    /// The key of a picture's features under a conversation.
    pub fn new(
        image: ContentHash,
        (model_sha256, form): (&str, &str),
        messages: &[impl AsRef<str>],
        max_len: usize,
    ) -> Self {
        let mut hasher = Sha256::new();
        for message in messages.iter().map(AsRef::as_ref) {
            // Lengths keep "ab" + "c" apart from "a" + "bc".
            hasher.update((message.len() as u64).to_le_bytes());
            hasher.update(message);
        }
        Self {
            image,
            model_sha256: model_sha256.to_owned(),
            form: form.to_owned(),
            conversation: hasher.finalize().into(),
            max_len,
        }
    }

    /// Where the features stand below the cache's folder.
    fn file(&self) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(self.image.0);
        hasher.update(self.conversation);
        hasher.update((self.max_len as u64).to_le_bytes());
        hasher.update(&self.model_sha256);
        // Single precision was all there was before the form was told apart: what it left behind stays good.
        if self.form != SINGLE {
            hasher.update(&self.form);
        }
        let name = ContentHash(hasher.finalize().into());
        let digits = self.model_sha256.chars();
        let model: String = digits
            .filter(char::is_ascii_alphanumeric)
            .take(MODEL_PREFIX_LEN)
            .collect();
        Path::new(&model).join(format!("{name}.f16"))
    }
}

/// Features by key, one file each, in `NAME.assay.cache/features`.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
}

impl FeatureCache {
    /// The features in a cache folder (see [`super::cache_folder`]). Touches no file.
    pub fn open(cache_folder: &Path) -> Self {
        Self {
            folder: cache_folder.join("features"),
        }
    }

    /// The features of a key; `None` where there are none that can be trusted.
    pub fn get(&self, key: &FeatureKey) -> Option<Features> {
        let entry = cache::read(&self.folder.join(key.file()), MAGIC)?;
        let [num_tokens, hidden] = entry.numbers.map(|number| number as usize);
        if num_tokens.checked_mul(hidden)?.checked_mul(2)? != entry.payload.len() {
            return None;
        }
        let values = entry
            .payload
            .chunks_exact(2)
            .map(|pair| f16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Some(Features {
            num_tokens,
            hidden,
            values,
        })
    }

    /// Where a key's features stand, whether or not they are there.
    pub fn path(&self, key: &FeatureKey) -> PathBuf {
        self.folder.join(key.file())
    }

    /// Tokens, width and place of the values in the bytes of a cache file; `None` where they cannot be trusted. The
    /// checksum is taken over all of them, so this is asked once when a file is opened.
    pub fn shape(bytes: &[u8]) -> Option<(usize, usize, Range<usize>)> {
        let [num_tokens, hidden] = cache::check(bytes, MAGIC)?.map(|number| number as usize);
        let values = cache::HEADER_LEN..bytes.len();
        let len = num_tokens.checked_mul(hidden)?.checked_mul(2)?;
        (len == values.len()).then_some((num_tokens, hidden, values))
    }

    /// Bytes that the features of `num_images` pictures take, of so many tokens each.
    pub const fn bytes_needed(num_images: usize, num_tokens: usize, hidden: usize) -> u64 {
        num_images as u64 * (cache::HEADER_LEN as u64 + 2 * (num_tokens * hidden) as u64)
    }

    /// Whether there is a file for the key; [`FeatureCache::get`] may still find that it cannot be trusted.
    pub fn contains(&self, key: &FeatureKey) -> bool {
        self.folder.join(key.file()).is_file()
    }

    /// Keeps the features of a key.
    pub fn put(&self, key: &FeatureKey, features: &Features) -> Result<(), StoreError> {
        let mut payload = Vec::with_capacity(features.values.len() * 2);
        for value in features.values.iter() {
            payload.extend(value.to_le_bytes());
        }
        let entry = cache::Entry {
            numbers: [features.num_tokens as u32, features.hidden as u32],
            payload,
        };
        cache::write(&self.folder.join(key.file()), MAGIC, &entry)
    }

    /// Bytes of all features on disk.
    pub fn size_bytes(&self) -> u64 {
        cache::size_bytes(&self.folder)
    }

    /// Deletes the oldest features until at most `max_bytes` are left; answers the bytes freed.
    pub fn prune(&self, max_bytes: u64) -> Result<u64, StoreError> {
        cache::prune(&self.folder, max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::hash;
    use super::*;
    use crate::domain::Conversation;
    use std::fs;

    fn conversation(text: &str) -> Conversation {
        Conversation {
            request: "Describe it.".to_owned(),
            description: text.to_owned(),
            question: "One word?".to_owned(),
        }
    }

    fn features() -> Features {
        Features {
            num_tokens: 5,
            hidden: 3,
            values: (0..15).map(|at| f16::from_f32(at as f32 / 7.0)).collect(),
        }
    }

    #[test]
    fn features_come_back_bit_for_bit_until_the_folder_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path());
        let key = FeatureKey::new(hash(1), ("abc", "f32"), &conversation("x").messages(), 512);
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &features()).unwrap();
        assert_eq!(cache.get(&key), Some(features()));
        assert!(cache.contains(&key));
        fs::remove_dir_all(folder.path().join("features")).unwrap();
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &features()).unwrap();
        assert_eq!(cache.get(&key), Some(features()));
    }

    #[test]
    fn everything_in_the_key_counts() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path());
        let model = "0123456789abcdef0123456789abcdef";
        let key = FeatureKey::new(hash(1), (model, "f32"), &conversation("x").messages(), 512);
        cache.put(&key, &features()).unwrap();
        let shifted = Conversation {
            request: "Describe it.x".to_owned(),
            ..conversation("")
        };
        let others = [
            FeatureKey::new(hash(2), (model, "f32"), &conversation("x").messages(), 512),
            FeatureKey::new(
                hash(1),
                ("0123456789abcdefX", "f32"),
                &conversation("x").messages(),
                512,
            ),
            FeatureKey::new(hash(1), (model, "f32"), &conversation("y").messages(), 512),
            FeatureKey::new(hash(1), (model, "f32"), &shifted.messages(), 512),
            FeatureKey::new(hash(1), (model, "f32"), &conversation("x").messages(), 511),
            FeatureKey::new(hash(1), (model, "q4_k"), &conversation("x").messages(), 512),
        ];
        for other in others {
            assert_eq!(cache.get(&other), None, "{other:?}");
        }
    }

    #[test]
    fn features_of_the_wrong_shape_are_as_good_as_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path());
        let key = FeatureKey::new(hash(1), ("abc", "f32"), &conversation("x").messages(), 512);
        let wrong = Features {
            num_tokens: 4,
            ..features()
        };
        cache.put(&key, &wrong).unwrap();
        assert_eq!(cache.get(&key), None);
        let bytes = fs::read(cache.path(&key)).unwrap();
        assert_eq!(FeatureCache::shape(&bytes), None);
    }

    #[test]
    fn a_file_says_where_its_values_stand_and_its_size_is_known_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::open(folder.path());
        let key = FeatureKey::new(hash(1), ("abc", "f32"), &conversation("x").messages(), 512);
        cache.put(&key, &features()).unwrap();
        let bytes = fs::read(cache.path(&key)).unwrap();
        let (num_tokens, hidden, range) = FeatureCache::shape(&bytes).unwrap();
        assert_eq!((num_tokens, hidden), (5, 3));
        assert_eq!(bytes[range][..2], features().values[0].to_le_bytes());
        assert_eq!(FeatureCache::bytes_needed(1, 5, 3), bytes.len() as u64);
        // The published geometry of AGIQA-3K: 9.3 GB.
        let published = FeatureCache::bytes_needed(2_385, 477, 4_096);
        assert_eq!(published / 1_000_000_000, 9);
    }
}
