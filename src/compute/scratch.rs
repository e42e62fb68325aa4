//! Memory that is used again.
//!
//! A training step takes and gives back the same few thousand buffers over and over. Fresh ones are cleared by the
//! allocator or by the kernel first, only to be written whole; that was a tenth of a step's processor time.

use std::collections::HashMap;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Most bytes of one type that are kept for later.
const KEEP: usize = 512 << 20;

/// Numbers that [`Scratch`] holds.
pub trait Kept: Copy + Send + 'static {
    /// What a fresh buffer is filled with: nothing that a result could be made of by mistake.
    const UNSET: Self;

    /// Buffers of this type that wait.
    fn shelf() -> &'static Shelf<Self>;
}

/// Buffers that wait, by their length.
#[derive(Debug)]
pub struct Shelf<T>(Mutex<Option<Waiting<T>>>);

#[derive(Debug)]
struct Waiting<T> {
    bytes: usize,
    by_len: HashMap<usize, Vec<Vec<T>>>,
}

macro_rules! kept {
    ($float:ident) => {
        impl Kept for $float {
            const UNSET: Self = Self::NAN;

            fn shelf() -> &'static Shelf<Self> {
                static SHELF: Shelf<$float> = Shelf(Mutex::new(None));
                &SHELF
            }
        }
    };
}

kept!(f32);
kept!(f64);

impl<T: Kept> Shelf<T> {
    fn lock(&self) -> MutexGuard<'_, Option<Waiting<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, len: usize) -> Option<Vec<T>> {
        let mut waiting = self.lock();
        let waiting = waiting.as_mut()?;
        let values = waiting.by_len.get_mut(&len)?.pop()?;
        waiting.bytes -= size_of_val(&values[..]);
        Some(values)
    }

    fn put(&self, values: Vec<T>) {
        let bytes = size_of_val(&values[..]);
        let mut waiting = self.lock();
        let waiting = waiting.get_or_insert_with(|| Waiting {
            bytes: 0,
            by_len: HashMap::new(),
        });
        if waiting.bytes + bytes <= KEEP {
            waiting.bytes += bytes;
            waiting.by_len.entry(values.len()).or_default().push(values);
        }
    }
}

/// Numbers left from earlier work, to be written before they are read. Gives its memory back for later when it is dropped.
#[derive(Debug)]
pub struct Scratch<T: Kept> {
    values: Vec<T>,
    len: usize,
}

impl<T: Kept> Scratch<T> {
    /// `len` numbers of any value.
    pub fn new(len: usize) -> Self {
        let whole = rounded(len);
        let taken = T::shelf().take(whole);
        let mut values = taken.unwrap_or_else(|| vec![T::UNSET; whole]);
        if cfg!(debug_assertions) || cfg!(test) {
            values.fill(T::UNSET);
        }
        Self { values, len }
    }

    /// `len` numbers of one value.
    pub fn filled(len: usize, value: T) -> Self {
        let mut new = Self::new(len);
        new.fill(value);
        new
    }

    /// What an iterator gives, up to `len` numbers.
    pub fn of(len: usize, numbers: impl Iterator<Item = T>) -> Self {
        let mut new = Self::new(len);
        for (place, number) in new.iter_mut().zip(numbers) {
            *place = number;
        }
        new
    }

    /// Rows of one width, one behind the other.
    ///
    /// # Panics
    /// Where a row has another width.
    pub fn stacked<'a>([count, width]: [usize; 2], rows: impl Iterator<Item = &'a [T]>) -> Self {
        let mut new = Self::new(count * width);
        for (place, row) in new.chunks_mut(width).zip(rows) {
            place.copy_from_slice(row);
        }
        new
    }
}

impl<T: Kept> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T: Kept> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

impl<T: Kept> Drop for Scratch<T> {
    fn drop(&mut self) {
        T::shelf().put(std::mem::take(&mut self.values));
    }
}

/// Gives everything that waits back to the system: for when a long work has ended.
pub fn release() {
    *f32::shelf().lock() = None;
    *f64::shelf().lock() = None;
}

/// Sequences of nearly the same length share their buffers.
fn rounded(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 8).max(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_as_long_as_asked_and_unset() {
        for len in [0, 1, 64, 65, 1000, 4097] {
            assert!(rounded(len) >= len && rounded(len) <= len + (len / 4).max(64));
            let mut one = Scratch::<f32>::new(len);
            assert_eq!(one.len(), len);
            assert!(one.iter().all(|value| value.is_nan()));
            one.fill(1.0);
        }
        let filled = Scratch::filled(3, 2.0f64);
        assert_eq!(*filled, [2.0; 3]);
        assert_eq!(*Scratch::of(2, [1.0f32, 2.0, 3.0].into_iter()), [1.0, 2.0]);
        let rows = [&[1.0f32, 2.0][..], &[3.0, 4.0]];
        assert_eq!(
            *Scratch::stacked([2, 2], rows.into_iter()),
            [1.0, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn memory_is_used_again_by_another_length_of_its_class() {
        let shelf = Shelf::<f64>(Mutex::new(None));
        assert!(shelf.take(rounded(1_000)).is_none());
        shelf.put(vec![1.0; rounded(1_000)]);
        assert!(shelf.take(rounded(2_000)).is_none());
        let taken = shelf.take(rounded(1_005)).map(|values| values.len());
        assert_eq!(taken, Some(rounded(1_000)));
        assert!(shelf.take(rounded(1_000)).is_none());
        let waiting = shelf.lock().as_ref().map(|waiting| waiting.bytes);
        assert_eq!(waiting, Some(0));
    }
}
