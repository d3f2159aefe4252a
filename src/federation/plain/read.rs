//! Reads the maps of a plain server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alto::cost::{self, CostTable, ReadCosts};
use crate::alto::json::read;
use crate::alto::meta::{CostMode, CostType, ReadResponse, VersionTag};
use crate::alto::network::{self, Groups, ReadGroups};
use crate::federation::Limits;
use crate::federation::copies::{network_of, square};
use crate::federation::import_error::ImportError;
use crate::ident::{Digest, DomainLabel, PidName};
use crate::net::{Matrix, PidIndex};
use crate::publish::{Costs, NetworkMap};

use super::choice::Source;

/// A server's network map, with the PID names that its domain's view has.
#[derive(Debug)]
pub(super) struct Network {
    /// Its version, as the server states it.
    pub(super) vtag: VersionTag,
    pub(super) map: Arc<NetworkMap>,
    /// Whether some PIDs have other names than at the server.
    pub(super) renamed: bool,
}

/// The costs of a cost map, or the version of the network map that they are for.
pub(super) enum Read {
    Costs(Costs),
    Waits(VersionTag),
}

/// Returns the name of a plain server's PID in its domain: its own, unless `<domain>:<pid>`
/// would be longer than a PID name may be (RFC 7285 §10.1). In that case it is cut, and ends in
/// `-` and the first 10 hexadecimal digits of the SHA-256 of the whole name.
pub fn pid_under(domain: &DomainLabel, name: &PidName) -> PidName {
    const MARK: usize = "-0123456789".len();
    let text = name.as_str();
    let kept = if text.len() > domain.max_pid_len() {
        text.get(..domain.max_pid_len() - MARK)
    } else {
        None
    };
    let digest = Digest::of(text.as_bytes()).to_string();
    let cut = kept.zip(digest.get(..MARK - 1));
    let cut = cut.and_then(|(kept, mark)| PidName::new(&format!("{kept}-{mark}")).ok());
    cut.unwrap_or_else(|| name.clone())
}

/// Reads a network map; `id` is that of its resource.
///
/// # Errors
/// It is not valid, or exceeds the limits.
pub(super) fn network(
    domain: &DomainLabel,
    id: &str,
    body: &[u8],
    limits: &Limits,
) -> Result<Network, ImportError> {
    let reader = ReadResponse {
        member: network::MEMBER,
        data: ReadGroups {
            max_name: 64,
            max_pids: limits.max_pids,
            max_prefixes: limits.max_prefixes,
            known_families_only: false,
        },
    };
    let (meta, groups) = read(body, reader).map_err(|faults| ImportError::unsound(id, &faults))?;
    let vtag = meta.vtag.ok_or_else(|| content(id, "it has no vtag"))?;
    if vtag.resource_id.as_str() != id {
        let reason = format!("its vtag is of {}, another resource", vtag.resource_id);
        return Err(content(id, reason));
    }
    let mut named = Groups::new();
    let mut renamed = false;
    for (name, group) in groups {
        let cut = pid_under(domain, &name);
        renamed |= cut != name;
        if named.insert(cut.clone(), group).is_some() {
            let reason = format!("two of its PIDs are cut to the one name {cut}");
            return Err(content(id, reason));
        }
    }
    Ok(Network {
        vtag,
        map: Arc::new(network_of(named, limits)?),
        renamed,
    })
}

/// Reads the numerical costs in a metric over a network map.
///
/// # Errors
/// They are not valid, exceed the limits, or are of PIDs that the network map does not have.
pub(super) fn costs(
    domain: &DomainLabel,
    source: &Source,
    network: &Network,
    body: &[u8],
    limits: &Limits,
) -> Result<Read, ImportError> {
    let reader = ReadResponse {
        member: cost::MEMBER,
        data: ReadCosts {
            check: source.metric.check(),
            max_name: 64,
            max_pids: limits.max_pids,
            max_cells: limits.max_cells,
        },
    };
    let id = &source.id;
    let (meta, table) = read(body, reader).map_err(|faults| ImportError::unsound(id, &faults))?;
    let numerical = CostType::new(&source.metric, CostMode::Numerical);
    if meta.cost_type.is_none_or(|stated| numerical != stated) {
        let reason = "its costs are of another type than its directory says";
        return Err(content(id, reason));
    }
    let over = |vtag: &VersionTag| vtag.resource_id == network.vtag.resource_id;
    match meta.dependent_vtags.into_iter().find(over) {
        None => {
            let wanted = &network.vtag.resource_id;
            let reason = format!("it does not say which version of {wanted} it is over");
            return Err(content(id, reason));
        }
        Some(vtag) if vtag != network.vtag => return Ok(Read::Waits(vtag)),
        Some(_) => {}
    }
    let table = if network.renamed {
        under(domain, &table)?
    } else {
        table
    };
    Ok(Read::Costs(square(id, &table, network.map.pids())?))
}

/// Returns the table with the names that the PIDs have in the domain.
fn under(domain: &DomainLabel, table: &CostTable) -> Result<CostTable, ImportError> {
    let named = |index: &PidIndex| -> (PidIndex, Vec<u32>) {
        let named = (0..).zip(index.names());
        let named: BTreeMap<PidName, u32> = named
            .map(|(place, name)| (pid_under(domain, name), place))
            .collect();
        let (names, places): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        (PidIndex::new(names), places)
    };
    let ((srcs, rows), (dsts, columns)) = (named(&table.srcs), named(&table.dsts));
    if rows.len() < table.srcs.len() || columns.len() < table.dsts.len() {
        return Err(ImportError::Content(
            "two PIDs are cut to one name".to_owned(),
        ));
    }
    let mut places = vec![None; columns.len()];
    for (place, column) in (0..).zip(columns) {
        places[column as usize] = Some(place);
    }
    let rows = rows.into_iter().map(|row| table.cells.row(row as usize));
    let rows = rows.map(|row| row.moved(&places, places.len()));
    Ok(CostTable {
        cells: Arc::new(Matrix::from_rows(places.len(), rows.collect())),
        srcs: Arc::new(srcs),
        dsts: Arc::new(dsts),
    })
}

fn content(id: &str, reason: impl std::fmt::Display) -> ImportError {
    let id: String = id.chars().take(80).collect();
    ImportError::Content(format!("{id:?}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_stays_and_a_longer_one_is_cut_to_just_fit() {
        let domain = DomainLabel::new("isp-b").expect("a label");
        let name = |length: usize| PidName::new(&"p".repeat(length)).expect("a name");
        let max = domain.max_pid_len();
        assert_eq!(pid_under(&domain, &name(max)), name(max));
        for length in max + 1..=64 {
            let cut = pid_under(&domain, &name(length));
            assert_eq!(cut.as_str().len(), max);
            let digest = Digest::of("p".repeat(length).as_bytes()).to_string();
            let (kept, mark) = cut.as_str().rsplit_once('-').expect("a mark");
            assert_eq!((kept, mark), (&*"p".repeat(max - 11), &digest[..10]));
            assert!(domain.qualify(&cut).is_ok());
        }
    }
}
