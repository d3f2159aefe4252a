//! A network map on its way out: some thousand prefixes at a time, since a
//! single PID may hold a full table.

use crate::alto::canonical::{write_ipv4_prefix, write_ipv6_prefix};
use crate::alto::network::{AddressGroup, write_member_name};
use crate::ident::Family;
use crate::publish::grid::Filtered;
use crate::publish::grid::write_vtag;
use crate::publish::view::View;
use crate::publish::work::Work;

/// How many prefixes are written at a time.
const PREFIXES: usize = 4096;

/// What a prefix takes, most often, with its quotes and comma.
const PREFIX: usize = 20;

/// A network map, or what a filter leaves of one.
#[derive(Debug)]
pub(super) struct NetworkBody {
    filtered: Filtered,
    /// The PID that is being written, by its place, its family, and how many
    /// prefixes of that are written.
    pid: usize,
    family: usize,
    prefixes: usize,
    /// Whether the PID has a family with prefixes so far.
    has_family: bool,
    begun: bool,
    written: u64,
}

impl NetworkBody {
    pub(super) fn new(filtered: Filtered) -> Self {
        Self {
            filtered,
            pid: 0,
            family: 0,
            prefixes: 0,
            has_family: false,
            begun: false,
            written: 0,
        }
    }

    pub(super) fn work(&self, view: &View) -> Work {
        let prefixes: usize = self.filtered.pids.iter().map(|pid| count(view, *pid)).sum();
        let pids = self.filtered.pids.len();
        Work {
            cells: (prefixes + pids) as u64,
            bytes: (prefixes * PREFIX + pids * 2 * PREFIX) as u64,
            memory: (4 * PREFIXES * PREFIX) as u64,
        }
    }

    pub(super) fn prefixes_written(&self) -> u64 {
        self.written
    }

    /// Writes the next piece; whether there are more.
    pub(super) fn write_piece(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(b"{\"meta\":{\"vtag\":");
            write_vtag(out, &view.vtag());
            out.extend_from_slice(b"},\"network-map\":{");
        }
        let mut left = PREFIXES;
        while left > 0 {
            let Some(group) = self.group(view) else {
                out.extend_from_slice(b"}}");
                return false;
            };
            left = left.saturating_sub(1 + self.write_part(view, group, left, out));
        }
        true
    }

    fn group<'v>(&self, view: &'v View) -> Option<&'v AddressGroup> {
        let pid = *self.filtered.pids.get(self.pid)?;
        view.network().group(pid).map(AsRef::as_ref)
    }

    /// Writes up to `most` prefixes of one family of the PID, and what is around
    /// them; how many.
    fn write_part(
        &mut self,
        view: &View,
        group: &AddressGroup,
        most: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        if self.family == 0 && self.prefixes == 0 {
            let name = view.network().pids().name(self.filtered.pids[self.pid]);
            if self.pid > 0 {
                out.push(b',');
            }
            write_member_name(out, name.map_or("", |name| name.as_str()));
            out.push(b'{');
        }
        let Some(family) = Family::ALL.get(self.family) else {
            out.push(b'}');
            (self.pid, self.family, self.has_family) = (self.pid + 1, 0, false);
            return 0;
        };
        let total = match family {
            _ if !self.filtered.families.contains(family) => 0,
            Family::V4 => group.ipv4.len(),
            Family::V6 => group.ipv6.len(),
        };
        let end = total.min(self.prefixes + most);
        if self.prefixes == 0 && total > 0 {
            if self.has_family {
                out.push(b',');
            }
            self.has_family = true;
            write_member_name(out, family.as_str());
        }
        for place in self.prefixes..end {
            out.push(if place == 0 { b'[' } else { b',' });
            out.push(b'"');
            match family {
                Family::V4 => write_ipv4_prefix(out, &group.ipv4[place]),
                Family::V6 => write_ipv6_prefix(out, &group.ipv6[place]),
            }
            out.push(b'"');
        }
        let written = end - self.prefixes;
        self.written += written as u64;
        self.prefixes = end;
        if end == total {
            if total > 0 {
                out.push(b']');
            }
            (self.family, self.prefixes) = (self.family + 1, 0);
        }
        written
    }
}

fn count(view: &View, pid: u32) -> usize {
    view.network().group(pid).map_or(0, |group| group.len())
}
