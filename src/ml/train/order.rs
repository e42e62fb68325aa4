//! Which examples stand in which batch of an epoch.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Batches whose sequences are sorted by length among themselves: little padding, and still another mix every epoch.
const POOL: usize = 16;

/// The batches of an epoch: a shuffle that follows from seed and epoch, sequences of similar length together. No batch
/// is smaller than `least`, where there are so many: the rest of a division joins the batch before it.
pub(super) fn batches(
    lengths: &[usize],
    (batch_size, least): (usize, usize),
    seed: u64,
    epoch: u32,
) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Stream 0 drew the initial weights.
    random.set_stream(u64::from(epoch) + 1);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut random);
    for pool in order.chunks_mut(batch_size * POOL) {
        pool.sort_by_key(|&position| lengths[position]);
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    if batches.len() > 1 && batches.last().is_some_and(|last| last.len() < least) {
        let rest = batches.pop().unwrap_or_default();
        if let Some(last) = batches.last_mut() {
            last.extend(rest);
        }
    }
    batches.shuffle(&mut random);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_stands_in_one_batch_and_epochs_differ() {
        let lengths: Vec<usize> = (0..333).map(|i| i * 37 % 101).collect();
        let first = batches(&lengths, (16, 1), 1, 1);
        let mut seen = first.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..333).collect::<Vec<_>>());
        assert_eq!(first, batches(&lengths, (16, 1), 1, 1));
        assert_ne!(first, batches(&lengths, (16, 1), 1, 2));
        assert_ne!(first, batches(&lengths, (16, 1), 2, 1));
    }

    #[test]
    fn no_batch_is_smaller_than_asked_for() {
        let sizes = |count: usize, least: usize| {
            let batches = batches(&vec![5; count], (8, least), 1, 1);
            let mut sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(17, 1), [1, 8, 8]);
        assert_eq!(sizes(17, 2), [8, 9]);
        assert_eq!(sizes(18, 2), [2, 8, 8]);
        assert_eq!(sizes(1, 2), [1]);
    }
}
