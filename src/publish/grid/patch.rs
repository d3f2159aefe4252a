//! Patches from one version of a body to another: merge patches (RFC 7396) and JSON patches
//! (RFC 6902).
//!
//! The bodies are tables of two levels below one member: cost maps by source and destination,
//! network maps by PID and family, properties by endpoint and name. The differences are written in
//! canonical order.

use bytes::Bytes;

use crate::alto::canonical::write_string;
use crate::alto::media;
use crate::alto::meta::VersionTag;
use crate::alto::network::write_member_name;

use super::meta::MetaWriter;

/// The form of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// RFC 7396: the members that differ, `null` for removed ones.
    Merge,
    /// RFC 6902: a sequence of operations.
    Json,
}

impl Form {
    /// The media type of patches of this form.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Merge => media::MERGE_PATCH,
            Form::Json => media::JSON_PATCH,
        }
    }
}

/// A patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its form.
    pub form: Form,
    /// Its text.
    pub text: Bytes,
}

/// Which version tag the `meta` of a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::publish) enum TagOf {
    /// Its own, in `vtag`.
    Itself,
    /// That of the network map, the only one in `dependent-vtags`.
    Network,
}

/// Writes the patch of a body: first the tag in its `meta`, if that changed, then the table, row by
/// row. Names of rows and cells have no characters that JSON escapes.
pub(in crate::publish) struct PatchWriter {
    form: Form,
    /// The member with the table.
    member: &'static str,
    out: Vec<u8>,
    /// Whether anything in the table differs so far.
    begun: bool,
    /// Whether a row is open in a merge patch.
    in_row: bool,
    /// The `meta` of a merge patch, until it is written.
    meta: Vec<u8>,
    /// The most bytes that the patch may have.
    limit: usize,
    /// Whether something was left out because the patch would be longer.
    is_over: bool,
}

/// How an answer changes from one version of a view to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    Same,
    /// By this patch.
    Patch(Patch),
    /// By a patch that would be too long: the new answer is to be sent whole.
    TooLong,
}

impl PatchWriter {
    /// A writer of a patch of at most `limit` bytes.
    pub(in crate::publish) fn new(form: Form, member: &'static str, limit: usize) -> Self {
        Self {
            form,
            member,
            limit,
            is_over: false,
            out: match form {
                Form::Merge => vec![b'{'],
                Form::Json => Vec::new(),
            },
            begun: false,
            in_row: false,
            meta: Vec::new(),
        }
    }

    /// Writes that the network map has another version.
    pub(in crate::publish) fn tag(&mut self, tag_of: TagOf, network: &VersionTag) {
        match (self.form, tag_of) {
            (Form::Merge, tag_of) => {
                let mut meta = MetaWriter::begin(&mut self.meta);
                match tag_of {
                    TagOf::Itself => meta.changed_tag(network),
                    // An array is replaced whole (RFC 7396 §2).
                    TagOf::Network => meta.dependent_vtags(std::slice::from_ref(network)),
                }
                meta.finish();
            }
            (Form::Json, tag_of) => {
                let path: &[&str] = match tag_of {
                    TagOf::Itself => &["meta", "vtag", "tag"],
                    TagOf::Network => &["meta", "dependent-vtags", "0", "tag"],
                };
                self.operation("replace", path);
                self.out.extend_from_slice(b",\"value\":");
                write_string(&mut self.out, network.tag.as_str());
                self.out.push(b'}');
            }
        }
    }

    /// Writes that a row was removed.
    pub(in crate::publish) fn remove_row(&mut self, row: &str) {
        match self.form {
            Form::Merge => {
                self.name_row(row);
                self.out.extend_from_slice(b"null");
            }
            Form::Json => {
                self.operation("remove", &[self.member, row]);
                self.out.push(b'}');
            }
        }
    }

    /// Writes that a row was added; `write` writes its value.
    pub(in crate::publish) fn add_row(&mut self, row: &str, write: impl FnOnce(&mut Vec<u8>)) {
        match self.form {
            Form::Merge => {
                self.name_row(row);
                write(&mut self.out);
            }
            Form::Json => {
                self.operation("add", &[self.member, row]);
                self.out.extend_from_slice(b",\"value\":");
                write(&mut self.out);
                self.out.push(b'}');
            }
        }
    }

    /// Writes that a cell was removed from a row that stays.
    pub(in crate::publish) fn remove_cell(&mut self, row: &str, cell: &str) {
        match self.form {
            Form::Merge => {
                self.name_cell(row, cell);
                self.out.extend_from_slice(b"null");
            }
            Form::Json => {
                self.operation("remove", &[self.member, row, cell]);
                self.out.push(b'}');
            }
        }
    }

    /// Writes that a cell of a row that stays was added or changed; `add` also replaces (RFC 6902
    /// §4.1).
    pub(in crate::publish) fn set_cell(
        &mut self,
        row: &str,
        cell: &str,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        match self.form {
            Form::Merge => {
                self.name_cell(row, cell);
                write(&mut self.out);
            }
            Form::Json => {
                self.operation("add", &[self.member, row, cell]);
                self.out.extend_from_slice(b",\"value\":");
                write(&mut self.out);
                self.out.push(b'}');
            }
        }
    }

    /// Writes that an element of the array in a cell was removed, or, with `write`, was inserted before
    /// the one at `place`; in a JSON patch only.
    pub(in crate::publish) fn element(
        &mut self,
        row: &str,
        cell: &str,
        place: usize,
        write: Option<impl FnOnce(&mut Vec<u8>)>,
    ) {
        let mut decimal = itoa::Buffer::new();
        let path = [self.member, row, cell, decimal.format(place)];
        self.operation(if write.is_some() { "add" } else { "remove" }, &path);
        if let Some(write) = write {
            self.out.extend_from_slice(b",\"value\":");
            write(&mut self.out);
        }
        self.out.push(b'}');
    }

    /// Ends a row in which cells changed.
    pub(in crate::publish) fn end_row(&mut self) {
        if std::mem::take(&mut self.in_row) {
            self.out.push(b'}');
        }
    }

    /// Returns whether the patch is too long, so that the rest need not be compared.
    pub(in crate::publish) fn is_too_long(&self) -> bool {
        self.is_over || self.length() > self.limit
    }

    /// Returns whether there is room for something that takes at least this many bytes; if not, the
    /// patch is too long.
    pub(in crate::publish) fn has_room(&mut self, least: usize) -> bool {
        self.is_over |= self.length().saturating_add(least) > self.limit;
        !self.is_over
    }

    fn length(&self) -> usize {
        self.out.len() + self.meta.len()
    }

    /// Returns the patch, unless nothing changed or the patch is too long.
    pub(in crate::publish) fn finish(mut self) -> Change {
        if self.is_too_long() {
            return Change::TooLong;
        }
        let differs = self.begun || !self.meta.is_empty();
        match self.form {
            Form::Json => self.out.push(b']'),
            Form::Merge => {
                if self.begun {
                    self.out.push(b'}');
                }
                self.put_meta();
                self.out.push(b'}');
            }
        }
        if !differs {
            return Change::Same;
        }
        // It is kept for long.
        self.out.shrink_to_fit();
        Change::Patch(Patch {
            form: self.form,
            text: self.out.into(),
        })
    }

    /// Writes the `meta` of a merge patch, unless that is done.
    fn put_meta(&mut self) {
        if !self.meta.is_empty() {
            self.part_members();
            self.out.append(&mut self.meta);
        }
    }

    /// Writes a comma after the members of a merge patch so far, if there are any.
    fn part_members(&mut self) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
    }

    /// Begins the member for a row in a merge patch.
    fn name_row(&mut self, row: &str) {
        if self.begun {
            self.out.push(b',');
        } else {
            // The smaller name comes first.
            if self.member > "meta" {
                self.put_meta();
            }
            self.part_members();
            write_member_name(&mut self.out, self.member);
            self.out.push(b'{');
        }
        self.begun = true;
        write_member_name(&mut self.out, row);
    }

    /// Begins the member for a cell in a merge patch.
    fn name_cell(&mut self, row: &str, cell: &str) {
        if self.in_row {
            self.out.push(b',');
        } else {
            self.name_row(row);
            self.out.push(b'{');
        }
        self.in_row = true;
        write_member_name(&mut self.out, cell);
    }

    /// Begins an operation of a JSON patch.
    fn operation(&mut self, op: &str, path: &[&str]) {
        self.out.push(if self.begun { b',' } else { b'[' });
        self.begun = true;
        self.out.extend_from_slice(b"{\"op\":\"");
        self.out.extend_from_slice(op.as_bytes());
        self.out.extend_from_slice(b"\",\"path\":\"");
        for step in path {
            self.out.push(b'/');
            // The characters that RFC 6901 escapes.
            for byte in step.bytes() {
                match byte {
                    b'~' => self.out.extend_from_slice(b"~0"),
                    b'/' => self.out.extend_from_slice(b"~1"),
                    byte => self.out.push(byte),
                }
            }
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_too_long_is_not_written_and_makes_the_patch_too_long() {
        let mut patch = PatchWriter::new(Form::Json, "network-map", 100);
        assert!(patch.has_room(100));
        patch.remove_row("a");
        assert!(!patch.is_too_long());
        assert!(!patch.has_room(99));
        assert!(patch.is_too_long());
        assert_eq!(patch.finish(), Change::TooLong);
    }
}
