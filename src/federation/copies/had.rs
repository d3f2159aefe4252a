//! The copies from one peer, the versions that are over a budget, and the room for what is being
//! taken.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::ident::{DomainLabel, Tag};

use super::amount::Amount;
use super::copy::DomainCopy;

/// The copies from one peer, and the sum of what they take. The sum is kept up to date, so that
/// a change of one domain does not cost a look at all of them.
#[derive(Debug, Default)]
pub(super) struct Had {
    pub(super) by_domain: BTreeMap<DomainLabel, Arc<DomainCopy>>,
    /// The earlier versions that changes are compared with: how many bytes each has that it does
    /// not share with the present copy.
    pub(super) before: BTreeMap<DomainLabel, u64>,
    pub(super) takes: Amount,
}

impl Deref for Had {
    type Target = BTreeMap<DomainLabel, Arc<DomainCopy>>;

    fn deref(&self) -> &Self::Target {
        &self.by_domain
    }
}

impl Had {
    pub(super) fn insert(&mut self, copy: Arc<DomainCopy>) {
        self.takes = self.takes.plus(copy.amount);
        if let Some(before) = self.by_domain.insert(copy.domain.clone(), copy) {
            self.takes = self.takes.minus(before.amount);
        }
    }

    pub(super) fn remove(&mut self, domain: &DomainLabel) -> Option<Arc<DomainCopy>> {
        let gone = self.by_domain.remove(domain)?;
        self.takes = self.takes.minus(gone.amount);
        self.compare(domain, 0);
        Some(gone)
    }

    /// Notes how many bytes are kept of the earlier version of a domain.
    pub(super) fn compare(&mut self, domain: &DomainLabel, bytes: u64) {
        let amount = |memory| Amount { memory, disk: 0 };
        if let Some(bytes) = self.before.remove(domain) {
            self.takes = self.takes.minus(amount(bytes));
        }
        if bytes > 0 {
            self.takes = self.takes.plus(amount(bytes));
            self.before.insert(domain.clone(), bytes);
        }
    }

    /// Returns what a domain takes, with its earlier version.
    pub(super) fn charge(&self, domain: &DomainLabel) -> Amount {
        let copy = self.by_domain.get(domain).map(|copy| copy.amount);
        let memory = self.before.get(domain).copied().unwrap_or_default();
        copy.unwrap_or_default().plus(Amount { memory, disk: 0 })
    }

    /// Removes the copies that are due, and returns them.
    pub(super) fn extract(
        &mut self,
        mut is_due: impl FnMut(&DomainCopy) -> bool,
    ) -> Vec<Arc<DomainCopy>> {
        let gone = self.by_domain.extract_if(.., |_, copy| is_due(copy));
        let gone: Vec<_> = gone.map(|(_, copy)| copy).collect();
        for copy in &gone {
            self.takes = self.takes.minus(copy.amount);
            self.compare(&copy.domain, 0);
        }
        gone
    }

    pub(super) fn takes(&self) -> Amount {
        self.takes
    }
}

/// A version of a domain that was over a budget. It is charged to nobody, since it is not here.
#[derive(Debug, Clone)]
pub(super) struct TooMuch {
    /// The hash of its content.
    pub(super) digest: Tag,
    pub(super) takes: Amount,
    /// Whether there has been room for it since, so that it is to be offered again.
    pub(super) fits: bool,
}

impl TooMuch {
    pub(super) fn fits(&self) -> bool {
        self.fits
    }
}

/// The room that is reserved, by domain: for at most one version that is being taken.
#[derive(Debug, Default)]
pub(super) struct Room(pub(super) BTreeMap<DomainLabel, Arc<Amount>>);

impl Room {
    pub(super) fn remove_if(
        &mut self,
        domain: &DomainLabel,
        is_due: impl Fn(&mut Arc<Amount>) -> bool,
    ) -> Option<Arc<Amount>> {
        let mut gone = self.0.extract_if(.., |of, it| of == domain && is_due(it));
        gone.next().map(|(_, takes)| takes)
    }

    /// Whether a version of a domain is being taken.
    pub(super) fn is_of(&self, domain: &DomainLabel) -> bool {
        self.0.contains_key(domain)
    }

    pub(super) fn takes(&self) -> Amount {
        let takes = self.0.values().map(|takes| **takes);
        takes.fold(Amount::default(), Amount::plus)
    }
}
