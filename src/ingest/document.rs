//! The documents of the network-to-server API and their paths.

use std::fmt;
use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::alto::network::Groups;
use crate::alto::property::PropertyMap;
use crate::facts::{Interconnects, SourceFacts, Stated};
use crate::ident::{MetricName, SourceName, Tag};
use crate::net::Matrix;

/// Which document of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentPath {
    /// `network-map`
    NetworkMap,
    /// `cost-maps/{metric}`
    CostMap(MetricName),
    /// `properties`
    Properties,
    /// `interconnects`
    Interconnects,
}

impl DocumentPath {
    /// The document at this path below `/n2s/v1/`.
    ///
    /// # Errors
    /// What is wrong and which paths there are, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "network-map" => Ok(Self::NetworkMap),
            "properties" => Ok(Self::Properties),
            "interconnects" => Ok(Self::Interconnects),
            _ => match text.strip_prefix("cost-maps/") {
                Some(metric) => MetricName::new(metric)
                    .map(Self::CostMap)
                    .map_err(|error| error.to_string()),
                None => Err(format!(
                    "there is no document {text:?}; there are network-map, cost-maps/{{metric}}, \
                     properties and interconnects"
                )),
            },
        }
    }

    /// The documents that a source states.
    pub fn stated_by(facts: &SourceFacts) -> Vec<Self> {
        let mut paths: Vec<Self> = facts.costs.keys().cloned().map(Self::CostMap).collect();
        paths.extend(facts.network.as_ref().map(|_| Self::NetworkMap));
        paths.extend(facts.properties.as_ref().map(|_| Self::Properties));
        paths.extend(facts.interconnects.as_ref().map(|_| Self::Interconnects));
        paths.sort_unstable();
        paths
    }

    /// The member of the document that holds its content.
    pub fn member(&self) -> &'static str {
        match self {
            Self::NetworkMap => crate::alto::network::MEMBER,
            Self::CostMap(_) => crate::alto::cost::MEMBER,
            Self::Properties => crate::alto::property::MEMBER,
            Self::Interconnects => "interconnects",
        }
    }

    /// The name of a source's document in the store.
    pub fn stored_as(&self, source: &SourceName) -> String {
        format!("{source}/{self}")
    }

    /// The source and document of a name in the store.
    pub fn parse_stored(name: &str) -> Option<(SourceName, Self)> {
        let (source, path) = name.split_once('/')?;
        Some((SourceName::new(source).ok()?, Self::parse(path).ok()?))
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkMap => f.write_str("network-map"),
            Self::CostMap(metric) => write!(f, "cost-maps/{metric}"),
            Self::Properties => f.write_str("properties"),
            Self::Interconnects => f.write_str("interconnects"),
        }
    }
}

/// A document's content.
#[derive(Debug, Clone)]
pub enum Document {
    /// Of `network-map`.
    Network(Arc<Groups>),
    /// Of `cost-maps/{metric}`.
    Costs(Arc<CostTable>),
    /// Of `properties`.
    Properties(Arc<PropertyMap>),
    /// Of `interconnects`.
    Interconnects(Arc<Interconnects>),
}

impl Document {
    /// What the source states at this path.
    pub fn of(facts: &SourceFacts, path: &DocumentPath) -> Option<Self> {
        match path {
            DocumentPath::NetworkMap => facts
                .network
                .as_ref()
                .map(|s| Self::Network(s.body.clone())),
            DocumentPath::CostMap(metric) => {
                facts.costs.get(metric).map(|s| Self::Costs(s.body.clone()))
            }
            DocumentPath::Properties => facts
                .properties
                .as_ref()
                .map(|s| Self::Properties(s.body.clone())),
            DocumentPath::Interconnects => facts
                .interconnects
                .as_ref()
                .map(|s| Self::Interconnects(s.body.clone())),
        }
    }

    /// The tag and revision of what the source states at this path.
    pub fn stated(facts: &SourceFacts, path: &DocumentPath) -> Option<(Tag, u64)> {
        fn marks<T>(stated: &Stated<T>) -> (Tag, u64) {
            (stated.tag.clone(), stated.revision)
        }
        match path {
            DocumentPath::NetworkMap => facts.network.as_ref().map(marks),
            DocumentPath::CostMap(metric) => facts.costs.get(metric).map(marks),
            DocumentPath::Properties => facts.properties.as_ref().map(marks),
            DocumentPath::Interconnects => facts.interconnects.as_ref().map(marks),
        }
    }

    /// Has the source state this document, or none, at this path. The document
    /// must be of the path's kind.
    pub fn state(
        facts: &mut SourceFacts,
        path: &DocumentPath,
        document: Option<(Document, Tag)>,
        revision: u64,
    ) {
        match path {
            DocumentPath::NetworkMap => facts.network = None,
            DocumentPath::CostMap(metric) => drop(facts.costs.remove(metric)),
            DocumentPath::Properties => facts.properties = None,
            DocumentPath::Interconnects => facts.interconnects = None,
        }
        let Some((document, tag)) = document else {
            return;
        };
        match (path, document) {
            (DocumentPath::CostMap(metric), Document::Costs(body)) => {
                facts.costs.insert(
                    metric.clone(),
                    Stated {
                        body,
                        revision,
                        tag,
                    },
                );
            }
            (_, Document::Network(body)) => {
                facts.network = Some(Stated {
                    body,
                    revision,
                    tag,
                })
            }
            (_, Document::Properties(body)) => {
                facts.properties = Some(Stated {
                    body,
                    revision,
                    tag,
                })
            }
            (_, Document::Interconnects(body)) => {
                facts.interconnects = Some(Stated {
                    body,
                    revision,
                    tag,
                });
            }
            (_, Document::Costs(_)) => {}
        }
    }

    /// About how many bytes of memory it takes that it does not share with others.
    pub fn bytes(&self) -> u64 {
        /// A PID with its place in a map.
        const PID: usize = 100;
        /// An entity with a property, or an interconnect, with its place in a map.
        const ENTITY: usize = 700;
        let bytes = match self {
            Self::Network(groups) => PID * groups.len(),
            Self::Costs(table) => table.cells.bytes_beside(&Matrix::new(0, 0)),
            Self::Properties(map) => ENTITY * map.len(),
            Self::Interconnects(links) => ENTITY * links.len(),
        };
        bytes as u64
    }

    /// About how many bytes of memory [`Document::rows`] take while they are written.
    pub fn bytes_of_rows(&self) -> u64 {
        /// The text of a prefix or of a cost, most often at most.
        const TEXT: usize = 44;
        /// What a name takes that is kept until its row is written.
        const NAME: usize = 128;
        let bytes = match self {
            Self::Network(groups) => {
                let prefixes = groups.values().map(|group| group.len());
                2 * TEXT * prefixes.max().unwrap_or(0)
            }
            Self::Costs(table) => {
                let names = table.dsts.names().iter();
                let keys: usize = names.map(|name| name.as_str().len() + 4).sum();
                3 * keys + 2 * TEXT * table.dsts.len()
            }
            Self::Properties(map) => NAME * map.len(),
            Self::Interconnects(links) => NAME * links.len(),
        };
        bytes as u64
    }

    /// The member of the document that holds its content.
    pub(super) fn member(&self) -> &'static str {
        match self {
            Self::Network(_) => crate::alto::network::MEMBER,
            Self::Costs(_) => crate::alto::cost::MEMBER,
            Self::Properties(_) => crate::alto::property::MEMBER,
            Self::Interconnects(_) => "interconnects",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_text_and_one_name_in_the_store() {
        let source = SourceName::new("noc").expect("valid");
        for text in [
            "network-map",
            "cost-maps/delay-ow:p95",
            "properties",
            "interconnects",
        ] {
            let path = DocumentPath::parse(text).expect(text);
            assert_eq!(path.to_string(), text);
            let stored = path.stored_as(&source);
            assert_eq!(
                DocumentPath::parse_stored(&stored),
                Some((source.clone(), path))
            );
        }
        for bad in [
            "",
            "network-map/",
            "cost-maps/",
            "cost-maps/latency",
            "topologies/x",
        ] {
            assert!(DocumentPath::parse(bad).is_err(), "{bad}");
        }
    }
}
