//! Seeded chance for the order of trials.

use sha2::Digest as _;
use sha2::Sha256;

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), seeded from
/// words. Ours, because an order that raters have seen must stay the same for as long as the program lives.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same words.
    pub(super) fn of(words: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for word in words {
            // The length first, so that ("ab", "c") and ("a", "bc") differ.
            hasher.update((word.len() as u64).to_le_bytes());
            hasher.update(word);
        }
        let digest = hasher.finalize();
        let seed = digest
            .iter()
            .take(8)
            .fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte));
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A position below `num`; 0 for none.
    pub(super) fn below(&mut self, num: usize) -> usize {
        // The high half of a 128-bit product: the bias is below 2^-40 for any list that a person rates.
        ((u128::from(self.next()) * num as u128) >> 64) as usize
    }

    /// Puts a list into a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for idx in (1..items.len()).rev() {
            items.swap(idx, self.below(idx + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_give_the_same_numbers_for_ever() {
        let mut dice = Dice(1_234_567);
        // From the reference implementation at https://prng.di.unimi.it/splitmix64.c, seed 1234567.
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
        assert_ne!(
            Dice::of(&[b"ab", b"c"]).next(),
            Dice::of(&[b"a", b"bc"]).next()
        );
    }

    #[test]
    fn every_position_comes_up_about_as_often() {
        let mut dice = Dice::of(&[b"positions"]);
        let mut num = [0_u32; 6];
        for _ in 0..6_000 {
            num[dice.below(6)] += 1;
        }
        assert!(num.iter().all(|num| (850..1150).contains(num)), "{num:?}");
        assert_eq!(dice.below(0), 0);
    }
}
