//! Properties of endpoints on their way out.

use crate::alto::canonical::write_string;
use crate::alto::network::write_member_name;
use crate::publish::endpoint::Asked;
use crate::publish::grid::write_vtag;
use crate::publish::view::View;
use crate::publish::work::Work;

/// About how many bytes are written at a time.
const PIECE: usize = 32 * 1024;

/// `<id of the network map>.pid` and the properties that were stated, each left
/// out where it has no value.
#[derive(Debug)]
pub(super) struct PropertiesBody {
    asked: Asked,
    written: usize,
}

impl PropertiesBody {
    pub(super) fn new(asked: Asked) -> Self {
        Self { asked, written: 0 }
    }

    pub(super) fn work(&self, view: &View) -> Work {
        let longest = view.properties().longest();
        let [endpoints, names] = [&self.asked.endpoints.len(), &self.asked.names.len()];
        let texts: usize = self
            .asked
            .endpoints
            .iter()
            .map(|(text, _)| text.len() + 6)
            .sum();
        let row: usize = self
            .asked
            .names
            .iter()
            .map(|name| name.len() + longest + 6)
            .sum();
        let held = self.asked.memory();
        Work {
            cells: endpoints.saturating_mul(*names) as u64,
            bytes: (texts + endpoints.saturating_mul(row)) as u64,
            memory: (held + 2 * (PIECE + row)) as u64,
        }
    }

    pub(super) fn values_read(&self) -> u64 {
        (self.written * self.asked.names.len()) as u64
    }

    /// Writes the next piece; whether there are more.
    pub(super) fn write_piece(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        if self.written == 0 {
            out.extend_from_slice(b"{\"endpoint-properties\":{");
        }
        let begun = out.len();
        while self.written < self.asked.endpoints.len() {
            if out.len() - begun > PIECE {
                return true;
            }
            if self.written > 0 {
                out.push(b',');
            }
            self.write_row(view, self.written, out);
            self.written += 1;
        }
        out.extend_from_slice(b"},\"meta\":{\"dependent-vtags\":[");
        if self.asked.tells_pids() {
            write_vtag(out, &view.vtag());
        }
        out.extend_from_slice(b"]}}");
        false
    }

    fn write_row(&self, view: &View, place: usize, out: &mut Vec<u8>) {
        let (text, addr) = &self.asked.endpoints[place];
        write_member_name(out, text);
        out.push(b'{');
        let names = self.asked.names.iter();
        let values = names.filter_map(|name| Some((name, self.asked.value(view, *addr, name)?)));
        for (i, (name, value)) in values.enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            write_member_name(out, name);
            write_string(out, value);
        }
        out.push(b'}');
    }
}
