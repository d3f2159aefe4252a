//! A value that may be replaced while the node runs, and whose parts are read separately.

use std::sync::Mutex;

use tokio::sync::watch;

use super::lock;

/// A value in force, such as a configuration, and the parts of it that are read elsewhere.
///
/// Each part has a channel of its own: its readers are notified only when that part changes.
pub struct Live<C> {
    now: C,
    parts: Mutex<Vec<Tell<C>>>,
}

/// Sends the readers of a part that part of the given value.
type Tell<C> = Box<dyn Fn(&C) + Send + Sync>;

impl<C> Live<C> {
    /// Puts a value in force.
    pub fn new(now: C) -> Self {
        Self {
            now,
            parts: Mutex::default(),
        }
    }

    /// Returns the value in force.
    pub fn now(&self) -> &C {
        &self.now
    }

    /// Returns a channel with a part of the value; it changes when a later value differs in that
    /// part.
    pub fn part<T>(&self, of: impl Fn(&C) -> T + Send + Sync + 'static) -> watch::Receiver<T>
    where
        T: PartialEq + Send + Sync + 'static,
    {
        let (sender, receiver) = watch::channel(of(&self.now));
        lock(&self.parts).push(Box::new(move |now| {
            let part = of(now);
            sender.send_if_modified(|before| {
                let is_other = *before != part;
                if is_other {
                    *before = part;
                }
                is_other
            });
        }));
        receiver
    }

    /// Returns a channel with a part of the value that is notified each time a value is put in
    /// force, even if the part is the same: the files that it names may have changed.
    pub fn every<T>(&self, of: impl Fn(&C) -> T + Send + Sync + 'static) -> watch::Receiver<T>
    where
        T: Send + Sync + 'static,
    {
        let (sender, receiver) = watch::channel(of(&self.now));
        lock(&self.parts).push(Box::new(move |now| {
            sender.send_replace(of(now));
        }));
        receiver
    }

    /// Puts another value in force, and notifies the readers of the parts that differ.
    pub fn replace(&mut self, now: C) {
        self.now = now;
        for part in lock(&self.parts).iter() {
            part(&self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_of_a_part_are_told_when_that_part_differs() {
        let mut live = Live::new((1, "a"));
        let mut number = live.part(|value| value.0);
        let mut text = live.part(|value| value.1);
        live.replace((1, "b"));
        assert!(!number.has_changed().expect("live"));
        assert_eq!(*text.borrow_and_update(), "b");
        live.replace((2, "b"));
        assert_eq!((*number.borrow_and_update(), live.now().0), (2, 2));
        assert!(!text.has_changed().expect("live"));
    }

    #[test]
    fn readers_of_every_value_are_told_of_each() {
        let mut live = Live::new(1);
        let mut every = live.every(|value| *value);
        live.replace(1);
        assert!(every.has_changed().expect("live"));
        assert_eq!(*every.borrow_and_update(), 1);
        live.replace(2);
        assert_eq!(*every.borrow_and_update(), 2);
    }
}
