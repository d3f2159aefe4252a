//! PIDs that stand for PIDs of several domains, which hold the same addresses.

use super::across::Across;
use super::inside::Inside;
use super::onward::Onward;
use super::place::Place;

/// The PIDs that stand for several, each of another domain.
///
/// The cost from or to such a PID is that of the member whose path is best in the metric that
/// selects paths; of equal paths, that of the first member. If a domain has a PID at both ends, its
/// own word about the two counts. A cost is found when it is asked for.
#[derive(Debug, Default)]
pub struct Sets {
    /// The index of the first of them.
    pub first: usize,
    /// Their members, the one that is preferred first.
    pub members: Box<[Box<[Place]>]>,
    /// By domain, the costs inside it in the metric that selects paths.
    pub select: Box<[Inside]>,
}

/// What a PID of the merged view stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Places<'s> {
    /// A PID that belongs to no domain.
    Nowhere,
    One(Place),
    Several(&'s [Place]),
}

impl Places<'_> {
    pub(super) fn as_slice(&self) -> &[Place] {
        match self {
            Places::Nowhere => &[],
            Places::One(place) => std::slice::from_ref(place),
            Places::Several(places) => places,
        }
    }
}

/// The better of two choices so far: one of lower cost, or else the first.
#[derive(Debug)]
pub(super) struct Best<T> {
    least: f64,
    chosen: Option<T>,
}

impl<T> Best<T> {
    pub(super) fn none() -> Self {
        Self {
            least: f64::INFINITY,
            chosen: None,
        }
    }

    /// Offers a choice of some cost, NaN or infinite without one.
    pub(super) fn offer(&mut self, cost: f64, choice: T) {
        if self.chosen.is_none() || cost < self.least {
            self.least = if cost.is_nan() { f64::INFINITY } else { cost };
            self.chosen = Some(choice);
        }
    }

    pub(super) fn chosen(self) -> Option<T> {
        self.chosen
    }
}

impl Sets {
    /// Returns the members of the PID at an index, if it is one of these.
    pub fn get(&self, pid: usize) -> Option<&[Place]> {
        let place = pid.checked_sub(self.first)?;
        self.members.get(place).map(AsRef::as_ref)
    }

    /// Returns about how many bytes they take on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let members = self.members.iter();
        let members = members.map(|members| size_of_val(members) + size_of_val(&**members));
        members.sum::<usize>() + size_of_val(&*self.select)
    }

    /// Returns the two PIDs of one domain whose own word counts between these PIDs, if a domain has
    /// a PID at both ends.
    pub(super) fn own_word(&self, from: &[Place], to: &[Place]) -> Option<(Place, Place)> {
        if let (&[a], &[b]) = (from, to) {
            return (a.domain == b.domain).then_some((a, b));
        }
        let mut best = Best::none();
        for &a in from {
            if let Some(&b) = to.iter().find(|b| b.domain == a.domain) {
                let cost = self.select[a.domain].cost(a.pid, b.pid);
                best.offer(cost, (a, b));
            }
        }
        best.chosen()
    }

    /// Returns the two PIDs whose path is that between these PIDs.
    pub(super) fn choose(
        &self,
        across: &Across,
        from: &[Place],
        to: &[Place],
    ) -> Option<(Place, Place)> {
        let own = self.own_word(from, to);
        own.or_else(|| {
            let mut onward = Onward::default();
            onward.start(across, from);
            let mut best = Best::none();
            for (turn, &a) in from.iter().enumerate() {
                for &b in to {
                    best.offer(onward.cell(across, turn, b).select, (a, b));
                }
            }
            best.chosen()
        })
    }
}
