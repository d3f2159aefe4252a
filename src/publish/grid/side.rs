//! The sources or the destinations of a table of costs.

use std::sync::Arc;

use crate::ident::PidName;
use crate::publish::content::Content;
use crate::publish::costs::Costs;

/// One side of a table: PIDs of a view, or endpoints in them, each once and in canonical order.
#[derive(Debug)]
pub(in crate::publish) struct Side {
    /// The indices of the PIDs; one that no PID has yields no cost.
    pub(super) pids: Vec<u32>,
    /// The texts of the endpoints; none if the PIDs are answered by their own names.
    texts: Option<Vec<Box<str>>>,
}

impl Side {
    /// All PIDs of a view.
    pub(in crate::publish) fn all(content: &Content) -> Self {
        let pids = u32::try_from(content.network().pids().len()).unwrap_or(u32::MAX);
        Self::pids((0..pids).collect())
    }

    /// The PIDs with these indices, which are ascending.
    pub(in crate::publish) fn pids(pids: Vec<u32>) -> Self {
        Self { pids, texts: None }
    }

    /// Endpoints, each as its text and the index of its PID, sorted by text.
    pub(in crate::publish) fn endpoints(endpoints: Vec<(Box<str>, u32)>) -> Self {
        let (texts, pids) = endpoints.into_iter().unzip();
        Self {
            pids,
            texts: Some(texts),
        }
    }

    pub(in crate::publish) fn len(&self) -> usize {
        self.pids.len()
    }

    /// The name at a place, as in the answer.
    pub(in crate::publish) fn name<'s>(&'s self, content: &'s Content, place: usize) -> &'s str {
        match &self.texts {
            Some(texts) => &texts[place],
            None => {
                let name = content.network().pids().name(self.pids[place]);
                name.map_or("", PidName::as_str)
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(in crate::publish) fn memory(&self) -> u64 {
        let texts = self.texts.iter().flatten();
        let texts: usize = texts.map(|text| held(text)).sum();
        (texts + self.pids.len() * size_of::<u32>()) as u64
    }

    /// All names.
    pub(in crate::publish) fn names<'s>(&'s self, content: &'s Content) -> Vec<&'s str> {
        (0..self.len())
            .map(|place| self.name(content, place))
            .collect()
    }

    /// About how many bytes the names take as members of an object.
    pub(super) fn bytes(&self, content: &Content) -> u64 {
        /// The bytes around a name.
        const AROUND: usize = "\"\":,".len();
        let names = (0..self.len()).map(|place| self.name(content, place).len() + AROUND);
        names.sum::<usize>() as u64
    }

    /// Returns whether another side has the same PIDs under the same names.
    pub(super) fn is_same(&self, content: &Content, other: &Side, others: &Content) -> bool {
        let same_names = || {
            Arc::ptr_eq(content.network().pids(), others.network().pids())
                || self.names(content) == other.names(others)
        };
        self.pids == other.pids && self.texts == other.texts && same_names()
    }

    /// Returns whether it is all PIDs that there are costs for.
    pub(super) fn is_all_of(&self, costs: &Costs) -> bool {
        self.len() == costs.size() && self.texts.is_none()
    }
}

/// About how many bytes of memory a text takes, its pointer and the overhead of the allocator
/// included.
pub(in crate::publish) fn held(text: &str) -> usize {
    /// The allocator gives out multiples of this, two at least.
    const STEP: usize = 16;
    size_of::<Box<str>>()
        + (text.len() + size_of::<usize>())
            .next_multiple_of(STEP)
            .max(2 * STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an allocator of the C library gives for a text, with what it adds.
    fn given(bytes: usize) -> usize {
        (bytes + 8).next_multiple_of(16).max(32)
    }

    #[test]
    fn endpoints_count_with_their_texts() {
        let side = |count: usize| {
            let endpoint = |n: usize| (format!("ipv4:10.0.{n}.1").into(), n as u32);
            Side::endpoints((0..count).map(endpoint).collect())
        };
        let (none, some) = (side(0).memory(), side(1000).memory());
        assert_eq!(none, 0);
        let texts = (0..1000).map(|n| given(format!("ipv4:10.0.{n}.1").len()));
        let held: usize = texts.map(|text| text + 16 + 4).sum();
        assert_eq!(some, held as u64);
        assert_eq!(Side::pids(vec![1, 2, 3]).memory(), 12);
        assert_eq!(super::held("x"), given(1) + 16);
    }
}
