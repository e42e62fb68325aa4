//! A queue in which only the newest counts.

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use crossbeam_channel::TrySendError;
use crossbeam_channel::bounded;

/// A queue of one: a newer value pushes the older one out.
pub(super) struct Latest<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
}

/// Makes one, and the way for its only reader.
pub(super) fn latest<T>() -> (Latest<T>, Receiver<T>) {
    let (sender, receiver) = bounded(1);
    let wanted = receiver.clone();
    (Latest { sender, receiver }, wanted)
}

impl<T> Latest<T> {
    /// Puts a value in the place of one that nobody has taken yet.
    pub(super) fn replace(&self, value: T) {
        let mut value = value;
        while let Err(TrySendError::Full(back)) = self.sender.try_send(value) {
            value = back;
            // Empty by now if the worker was quicker: the next try succeeds either way.
            self.receiver.try_recv().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wish_wins() {
        let (wishes, wanted) = latest();
        for wish in 1..=5 {
            wishes.replace(wish);
        }
        assert_eq!(wanted.try_recv(), Ok(5));
        assert!(wanted.try_recv().is_err());
    }
}
