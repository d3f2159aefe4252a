//! The difference between two network maps, full or filtered.

use std::sync::Arc;

use crate::alto::canonical::{write_ipv4_prefix, write_ipv6_prefix};
use crate::alto::network::{self, AddressGroup};
use crate::ident::{Family, PidName};
use crate::publish::content::Content;
use crate::publish::grid::{Change, Filtered, Form, PatchWriter, TagOf, join};

use super::interface::{PatchTerms, Versions};

/// The difference between the answers of two versions.
pub(super) fn changes(
    versions: Versions<'_>,
    before: Filtered,
    after: Filtered,
    terms: PatchTerms<'_>,
) -> Change {
    let before = Groups::new(versions.old, before);
    let after = Groups::new(versions.new, after);
    let form = match terms.forms {
        [only] => *only,
        _ => before.shorter_form(&after),
    };
    let mut patch = terms.writer_of(form, network::MEMBER, versions, Some(TagOf::Itself));
    before.changes(&after, form, &mut patch);
    patch.finish()
}

/// The PIDs of a network map that an answer has, with their prefixes.
struct Groups<'v> {
    names: Vec<&'v str>,
    groups: Vec<&'v Arc<AddressGroup>>,
    families: Vec<Family>,
}

impl<'v> Groups<'v> {
    fn new(content: &'v Content, Filtered { pids, families }: Filtered) -> Self {
        let network = content.network();
        let member = |&pid: &u32| network.pids().name(pid).zip(network.group(pid));
        let (names, groups) = pids.iter().filter_map(member).unzip::<_, _, Vec<_>, _>();
        Self {
            names: names.into_iter().map(PidName::as_str).collect(),
            groups,
            families,
        }
    }

    /// The places of the PIDs that are in both and differ.
    fn differing(&self, new: &Groups<'v>) -> Vec<[usize; 2]> {
        let both = join(&self.names, &new.names).into_iter();
        both.filter_map(|pid| Some([pid.old?, pid.new?]))
            .filter(|&[o, n]| {
                let (a, b) = (self.groups[o], new.groups[n]);
                !Arc::ptr_eq(a, b) && a != b
            })
            .collect()
    }

    /// The form of the shorter patch: a merge patch has every prefix of a PID that changed, a JSON
    /// patch an operation for each changed prefix.
    fn shorter_form(&self, new: &Groups<'v>) -> Form {
        /// The length of an operation, in prefixes.
        const OPERATION: usize = 4;
        let (mut whole, mut changed) = (0, 0);
        for [o, n] in self.differing(new) {
            let (a, b) = (self.groups[o], new.groups[n]);
            whole += b.len();
            changed += edits(&a.ipv4, &b.ipv4).len() + edits(&a.ipv6, &b.ipv6).len();
        }
        if changed * OPERATION < whole {
            Form::Json
        } else {
            Form::Merge
        }
    }

    fn changes(&self, new: &Groups<'v>, form: Form, patch: &mut PatchWriter) {
        for pid in join(&self.names, &new.names) {
            if patch.is_too_long() {
                return;
            }
            match (pid.old, pid.new) {
                (_, None) => patch.remove_row(pid.name),
                (None, Some(n)) => {
                    let (group, families) = (new.groups[n], &new.families);
                    let prefixes = |family: &Family| match family {
                        Family::V4 => group.ipv4.len(),
                        Family::V6 => group.ipv6.len(),
                    };
                    if patch.has_room(least(families.iter().map(prefixes).sum())) {
                        patch.add_row(pid.name, |out| group.write(out, families));
                    }
                }
                (Some(o), Some(n)) => {
                    let (a, b) = (self.groups[o], new.groups[n]);
                    if Arc::ptr_eq(a, b) {
                        continue;
                    }
                    for family in &new.families {
                        let (pid, write4, write6) =
                            (pid.name, write_ipv4_prefix, write_ipv6_prefix);
                        match family {
                            Family::V4 => {
                                family_changes(pid, *family, &a.ipv4, &b.ipv4, write4, form, patch);
                            }
                            Family::V6 => {
                                family_changes(pid, *family, &a.ipv6, &b.ipv6, write6, form, patch);
                            }
                        }
                    }
                    patch.end_row();
                }
            }
        }
    }
}

/// One step from a sorted list to another: removing the element at a place, or inserting one there.
enum Edit<'t, T> {
    Remove(usize),
    Add(usize, &'t T),
}

/// The edits that turn one sorted list into another, one after the other.
fn edits<'t, T: Ord>(old: &[T], new: &'t [T]) -> Vec<Edit<'t, T>> {
    let mut edits = Vec::new();
    let mut old = old.iter().peekable();
    let mut place = 0;
    for item in new {
        while old.next_if(|before| *before < item).is_some() {
            edits.push(Edit::Remove(place));
        }
        if old.next_if(|before| *before == item).is_none() {
            edits.push(Edit::Add(place, item));
        }
        place += 1;
    }
    edits.extend(old.map(|_| Edit::Remove(place)));
    edits
}

/// The least bytes that this many prefixes take.
fn least(prefixes: usize) -> usize {
    const SHORTEST: usize = r#""::/0","#.len();
    prefixes * SHORTEST
}

/// Writes the changes of the prefixes of a PID in one family.
fn family_changes<T: Ord>(
    pid: &str,
    family: Family,
    old: &[T],
    new: &[T],
    write: impl Fn(&mut Vec<u8>, &T),
    form: Form,
    patch: &mut PatchWriter,
) {
    if old == new {
        return;
    }
    let quoted = |out: &mut Vec<u8>, prefix: &T| {
        out.push(b'"');
        write(out, prefix);
        out.push(b'"');
    };
    let family = family.as_str();
    if new.is_empty() {
        patch.remove_cell(pid, family);
    } else if old.is_empty() || form == Form::Merge {
        if !patch.has_room(least(new.len())) {
            return;
        }
        patch.set_cell(pid, family, |out| {
            for (i, prefix) in new.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                quoted(out, prefix);
            }
            out.push(b']');
        });
    } else {
        for edit in edits(old, new) {
            if patch.is_too_long() {
                return;
            }
            let (place, added) = match edit {
                Edit::Remove(place) => (place, None),
                Edit::Add(place, prefix) => (place, Some(prefix)),
            };
            let write = added.map(|prefix| |out: &mut Vec<u8>| quoted(out, prefix));
            patch.element(pid, family, place, write);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a PID with this many prefixes, the first of which are others than in a PID with
    /// no such prefixes.
    fn group(prefixes: u8, others: u8) -> Arc<AddressGroup> {
        let third = |n| if n < others { 1 } else { 0 };
        let prefix = |n| {
            format!("10.{}.{n}.0/24", third(n))
                .parse()
                .expect("a prefix")
        };
        let mut ipv4: Vec<_> = (0..prefixes).map(prefix).collect();
        ipv4.sort();
        Arc::new(AddressGroup {
            ipv4,
            ipv6: Vec::new(),
        })
    }

    #[test]
    fn the_form_of_a_patch_is_that_with_the_fewest_prefixes() {
        let form = |prefixes, others| {
            let (before, after) = (group(prefixes, 0), group(prefixes, others));
            let of = |group| Groups {
                names: vec!["p"],
                groups: vec![group],
                families: vec![Family::V4],
            };
            of(&before).shorter_form(&of(&after))
        };
        // A prefix that is another is removed and added: two operations of four prefixes.
        assert_eq!(form(17, 2), Form::Json);
        assert_eq!(form(16, 2), Form::Merge);
        assert_eq!(form(9, 1), Form::Json);
        assert_eq!(form(8, 1), Form::Merge);
    }
}
