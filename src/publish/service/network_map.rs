//! The network map, RFC 7285 §11.2.1, written some thousand prefixes at a time: a single PID may have
//! a full table.

use crate::alto::canonical::{write_ipv4_prefix, write_ipv6_prefix};
use crate::alto::media;
use crate::alto::network::{self, AddressGroup, write_member_name};
use crate::ident::{Digest, Family, Tag};
use crate::publish::content::Content;
use crate::publish::grid::{Change, Filtered, Form, MetaWriter};
use crate::publish::rendering::Body;
use crate::publish::work::Work;

use super::interface::{
    Copied, Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature,
    Versions,
};
use super::names;
use super::prefixes::changes;

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered: |_| vec![NewResource::new(names::NETWORK_MAP, NetworkMap)],
    copied: Some(|path| (path == names::NETWORK_MAP).then_some(Copied::Network)),
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::NETWORK_MAP],
    accepts: None,
    // A cell of a cost map never takes less as an operation than as a member; a prefix among many
    // does.
    forms: &[Form::Merge, Form::Json],
    order: Order::First,
};

/// The network map of a view.
#[derive(Debug)]
struct NetworkMap;

impl Service for NetworkMap {
    fn body(&self, content: &Content, _: Parameters<'_>) -> Result<Box<dyn Body>, QueryError> {
        Ok(Box::new(NetworkBody::new(Filtered::all(content))))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        _: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let Versions { old, new } = versions;
        let (before, after) = (Filtered::all(old), Filtered::all(new));
        Ok(changes(versions, before, after, terms))
    }

    fn is_unchanged(&self, versions: Versions<'_>) -> bool {
        versions.have_same_network()
    }

    fn known_tag(&self, content: &Content) -> Option<Tag> {
        Some(content.network().tag().clone())
    }

    fn about_length(&self, content: &Content) -> usize {
        content.network().prefix_count() * PREFIX
    }

    fn is_updated_incrementally(&self) -> bool {
        true
    }
}

/// How many prefixes are written at a time.
const PREFIXES: usize = 4096;

/// The bytes that most prefixes take at most, with quotes and comma.
const PREFIX: usize = 20;

/// A network map, or the part of one that a filter selects.
#[derive(Debug)]
pub(super) struct NetworkBody {
    filtered: Filtered,
    /// The place of the PID that is being written, its family, and how many prefixes of that family
    /// are written.
    pid: usize,
    family: usize,
    prefixes: usize,
    /// Whether a family of the PID is written already.
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

    fn group<'v>(&self, content: &'v Content) -> Option<&'v AddressGroup> {
        let pid = *self.filtered.pids.get(self.pid)?;
        content.network().group(pid).map(AsRef::as_ref)
    }

    /// Writes up to `most` prefixes of one family of the PID, and what is around them; returns how
    /// many.
    fn write_part(
        &mut self,
        content: &Content,
        group: &AddressGroup,
        most: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        if self.family == 0 && self.prefixes == 0 {
            let name = content.network().pids().name(self.filtered.pids[self.pid]);
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

impl Body for NetworkBody {
    fn work(&self, content: &Content) -> Work {
        let prefixes: usize = self
            .filtered
            .pids
            .iter()
            .map(|pid| count(content, *pid))
            .sum();
        let pids = self.filtered.pids.len();
        Work {
            cells: (prefixes + pids) as u64,
            bytes: (prefixes * PREFIX + pids * 2 * PREFIX) as u64,
            memory: (4 * PREFIXES * PREFIX) as u64,
        }
    }

    fn cells_read(&self) -> u64 {
        self.written
    }

    /// Writes the next piece; returns whether there are more.
    fn write_piece(&mut self, content: &Content, out: &mut Vec<u8>) -> bool {
        if !self.begun {
            self.begun = true;
            out.push(b'{');
            let mut meta = MetaWriter::begin(out);
            meta.vtag(&content.vtag());
            meta.finish();
            out.push(b',');
            write_member_name(out, network::MEMBER);
            out.push(b'{');
        }
        let mut left = PREFIXES;
        while left > 0 {
            let Some(group) = self.group(content) else {
                out.extend_from_slice(b"}}");
                return false;
            };
            left = left.saturating_sub(1 + self.write_part(content, group, left, out));
        }
        true
    }

    fn sized_by(&self) -> &'static str {
        "pids"
    }

    /// The only tag of the data member alone, so that the `dependent-vtags` of a cost map do not depend
    /// on the `meta` of the network map.
    fn tag(&self, content: &Content, _: Digest) -> Tag {
        content.network().tag().clone()
    }
}

fn count(content: &Content, pid: u32) -> usize {
    content.network().group(pid).map_or(0, |group| group.len())
}
