//! The endpoint property service, RFC 7285 §11.4.1.

use std::net::IpAddr;

use crate::alto::canonical::write_string;
use crate::alto::endpoint::{self, EndpointPropertyParams, ReadEndpointPropertyParams};
use crate::alto::error::AltoError;
use crate::alto::ird::Capabilities;
use crate::alto::json;
use crate::alto::media;
use crate::alto::network::write_member_name;
use crate::alto::query::Endpoint;
use crate::ident::PropertyName;
use crate::publish::content::Content;
use crate::publish::grid::{Change, Form, MetaWriter, PatchWriter, TagOf, held};
use crate::publish::rendering::Body;
use crate::publish::work::Work;

use super::interface::{
    Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature, Versions,
};

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered: |_| vec![NewResource::new("endpointprop", EndpointProperties)],
    copied: None,
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::ENDPOINT_PROPERTIES],
    accepts: Some(media::ENDPOINT_PROPERTY_PARAMS),
    forms: &[Form::Merge],
    order: Order::Dependent,
};

/// The properties of the endpoints that are asked for.
#[derive(Debug)]
struct EndpointProperties;

impl Service for EndpointProperties {
    fn capabilities(&self, content: &Content) -> Capabilities {
        let stated = content.properties().names().iter();
        let stated = stated.map(PropertyName::to_string);
        Capabilities {
            prop_types: std::iter::once(pid_property(content))
                .chain(stated)
                .collect(),
            ..Capabilities::default()
        }
    }

    fn body(
        &self,
        content: &Content,
        parameters: Parameters<'_>,
    ) -> Result<Box<dyn Body>, QueryError> {
        let params = json::read(parameters.input, ReadEndpointPropertyParams)?;
        let asked = Asked::new(content, &params)?;
        Ok(Box::new(PropertiesBody { asked, written: 0 }))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        parameters: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let Versions { old, new } = versions;
        let params = json::read(parameters.input, ReadEndpointPropertyParams)?;
        let (before, asked) = (Asked::new(old, &params)?, Asked::new(new, &params)?);
        let tag_of = asked.tells_pids().then_some(TagOf::Network);
        let mut patch = terms.writer(endpoint::PROPERTIES_MEMBER, versions, tag_of);
        property_changes(&before, &asked, versions, &mut patch);
        Ok(patch.finish())
    }
}

/// About how many bytes are written at a time.
const PIECE: usize = 32 * 1024;

/// The answer: `<id of the network map>.pid` and the stated properties, without those that have no
/// value.
#[derive(Debug)]
struct PropertiesBody {
    asked: Asked,
    written: usize,
}

impl PropertiesBody {
    fn write_row(&self, content: &Content, place: usize, out: &mut Vec<u8>) {
        let (text, addr) = &self.asked.endpoints[place];
        write_member_name(out, text);
        out.push(b'{');
        let names = self.asked.names.iter();
        let values = names.filter_map(|name| Some((name, self.asked.value(content, *addr, name)?)));
        for (i, (name, value)) in values.enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            write_member_name(out, name);
            write_string(out, value);
        }
        out.push(b'}');
    }
}

impl Body for PropertiesBody {
    fn work(&self, content: &Content) -> Work {
        let longest = content.properties().longest();
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

    fn cells_read(&self) -> u64 {
        (self.written * self.asked.names.len()) as u64
    }

    /// Writes the next piece; returns whether there are more.
    fn write_piece(&mut self, content: &Content, out: &mut Vec<u8>) -> bool {
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
            self.write_row(content, self.written, out);
            self.written += 1;
        }
        out.extend_from_slice(b"},");
        let depends_on: &[_] = if self.asked.tells_pids() {
            &[content.vtag()]
        } else {
            &[]
        };
        let mut meta = MetaWriter::begin(out);
        meta.dependent_vtags(depends_on);
        meta.finish();
        out.push(b'}');
        false
    }

    fn sized_by(&self) -> &'static str {
        "endpoints"
    }
}

/// Writes the changes from what was asked of the older version to what is asked of the newer one.
fn property_changes(
    before: &Asked,
    asked: &Asked,
    versions: Versions<'_>,
    patch: &mut PatchWriter,
) {
    let Versions { old, new } = versions;
    // Every endpoint has its row, if only an empty one.
    for (text, addr) in &asked.endpoints {
        if patch.is_too_long() {
            return;
        }
        for name in &asked.names {
            let value = asked.value(new, *addr, name);
            match value {
                value if value == before.value(old, *addr, name) => {}
                Some(value) => {
                    let write = |out: &mut Vec<u8>| write_string(out, value);
                    patch.set_cell(text, name, write);
                }
                None => patch.remove_cell(text, name),
            }
        }
        patch.end_row();
    }
}

/// The properties that a request asks for, and the endpoints, in canonical order.
#[derive(Debug)]
struct Asked {
    endpoints: Vec<(Box<str>, IpAddr)>,
    names: Vec<Box<str>>,
    /// The name of the property that is an endpoint's PID.
    pid_property: String,
}

impl Asked {
    /// # Errors
    /// The view does not have one of the properties (RFC 7285 §11.4.1.3).
    fn new(content: &Content, params: &EndpointPropertyParams<'_>) -> Result<Self, AltoError> {
        let pid_property = pid_property(content);
        let mut names: Vec<Box<str>> = params
            .properties
            .iter()
            .map(|p| p.as_ref().into())
            .collect();
        names.sort_unstable();
        names.dedup();
        let known =
            |name: &str| name == pid_property || content.properties().names().contains(name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(AltoError::invalid_value("properties", unknown.as_ref()));
        }
        let endpoint = |e: &Endpoint<'_>| (e.text.as_ref().into(), e.address.0);
        let mut endpoints: Vec<(Box<str>, IpAddr)> =
            params.endpoints.iter().map(endpoint).collect();
        endpoints.sort_unstable();
        endpoints.dedup_by(|a, b| a.0 == b.0);
        Ok(Self {
            endpoints,
            names,
            pid_property,
        })
    }

    /// About how many bytes of memory it takes.
    fn memory(&self) -> usize {
        let endpoints = self.endpoints.iter().map(|(text, _)| text);
        let texts = endpoints.chain(&self.names).map(|text| held(text));
        texts.sum::<usize>() + self.endpoints.len() * size_of::<IpAddr>()
    }

    /// The value of a property of an address, if it has one.
    fn value<'v>(&self, content: &'v Content, addr: IpAddr, name: &str) -> Option<&'v str> {
        if name == self.pid_property {
            let pid = content.network().pid_of(addr)?;
            return content.network().pids().name(pid).map(|pid| pid.as_str());
        }
        content.properties().get(addr, name)
    }

    /// Returns whether the answer depends on the network map.
    fn tells_pids(&self) -> bool {
        self.names.iter().any(|name| **name == *self.pid_property)
    }
}

/// The name of the property that is an endpoint's PID (RFC 7285 §7.1.1, §10.8.1).
fn pid_property(content: &Content) -> String {
    format!("{}.pid", content.network_id())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use serde_json::json;

    use super::*;
    use crate::publish::Parameters;
    use crate::publish::testing::view;

    #[test]
    fn an_answer_takes_about_what_it_is_expected_to_take() {
        let view = view(3);
        let endpoints: Vec<String> = (0..200).map(|n| format!("ipv6:2001:db8::{n:x}")).collect();
        let input = json!({"endpoints": endpoints, "properties": [pid_property(view.content())]});
        let input = input.to_string();
        let resource = view.catalog().get("endpointprop").expect("offered");
        let parameters = Parameters {
            input: input.as_bytes(),
            client: Ipv6Addr::UNSPECIFIED.into(),
        };
        let rendering = view.answer(resource, parameters).expect("sound");
        let work = rendering.work();
        let text = rendering.finish(usize::MAX).1.expect("it is not too long");
        let length = text.len() as u64;
        assert!(
            (length..3 * length).contains(&work.bytes),
            "{work:?} for {length}"
        );
        let held = 200 * 128 + 4 * PIECE as u64;
        assert!((200 * 16..held).contains(&work.memory), "{work:?}");
    }
}
