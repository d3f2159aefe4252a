//! Makes the copy of a plain domain.

use std::sync::Arc;

use crate::federation::copies::{DomainCopy, Holding};
use crate::ident::{DomainLabel, Tag};
use crate::publish::View;

use super::domain::Plain;
use super::links::Links;

/// Returns the copy of a plain domain, with the amount that is known before it is written.
pub(in crate::federation) fn copy(domain: &DomainLabel, plain: &Plain) -> DomainCopy {
    let links = Links {
        theirs: plain.interconnects.clone(),
        ours: plain.ours.clone(),
        ignored: plain.ignored.clone(),
    };
    let (view, digest) = (plain.view.clone(), plain.digest.clone());
    copy_of(domain.clone(), view, links, digest, &Holding::default())
}

/// Returns the copy of a plain domain with this view, these links and their digest, of which
/// `holding` is kept.
pub(in crate::federation) fn copy_of(
    domain: DomainLabel,
    view: Arc<View>,
    links: Links,
    digest: Tag,
    holding: &Holding,
) -> DomainCopy {
    DomainCopy {
        amount: holding.of_domain(&view, &links.theirs),
        path: vec![domain.clone()],
        domain,
        serial: view.origin().serial,
        signed: None,
        view,
        off_net: Arc::default(),
        interconnects: links.theirs,
        ours: links.ours,
        digest,
        ignored: links.ignored,
        rewritten: Vec::new(),
    }
}
