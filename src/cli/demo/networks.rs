//! The ten research networks of `examples/research-networks`.

use std::collections::BTreeMap;

use anyhow::Context;
use ipnet::IpNet;
use serde::Deserialize;

/// A network with its documents.
pub(super) struct Network {
    /// Its label.
    pub(super) label: &'static str,
    /// Its name, for people.
    pub(super) name: &'static str,
    /// The number of its autonomous system.
    pub(super) asn: u32,
    /// Its documents, in an order in which they can be put: costs and properties need their PIDs
    /// to exist.
    pub(super) documents: [(&'static str, &'static str); 6],
}

impl Network {
    /// Returns how many bytes its documents have.
    pub(super) fn bytes(&self) -> u64 {
        self.documents
            .iter()
            .map(|(_, text)| text.len() as u64)
            .sum()
    }

    /// Returns the addresses that it holds: all prefixes of its PIDs that are not off-net, joined.
    ///
    /// # Errors
    /// Its network map cannot be read.
    pub(super) fn holds(&self) -> anyhow::Result<Vec<IpNet>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Map {
            network_map: BTreeMap<String, BTreeMap<String, Vec<IpNet>>>,
            #[serde(default)]
            off_net: Vec<String>,
        }
        let text = self
            .documents
            .iter()
            .find(|(path, _)| *path == "network-map");
        let (_, text) = text.context("it has a network map")?;
        let mut map: Map = serde_json::from_str(text)?;
        map.network_map.retain(|pid, _| !map.off_net.contains(pid));
        let groups = map.network_map.into_values().flatten();
        let prefixes: Vec<IpNet> = groups.flat_map(|(_, prefixes)| prefixes).collect();
        Ok(IpNet::aggregate(&prefixes))
    }
}

macro_rules! document {
    ($label:literal, $file:literal) => {
        include_str!(concat!(
            "../../../examples/research-networks/",
            $label,
            "/",
            $file,
            ".json"
        ))
    };
}

macro_rules! networks {
    ($($label:literal $name:literal $asn:literal;)*) => {
        [$(Network {
            label: $label,
            name: $name,
            asn: $asn,
            documents: [
                ("network-map", document!($label, "network-map")),
                ("cost-maps/routingcost", document!($label, "routingcost")),
                ("cost-maps/hopcount", document!($label, "hopcount")),
                ("cost-maps/delay-ow", document!($label, "delay-ow")),
                ("properties", document!($label, "properties")),
                ("interconnects", document!($label, "interconnects")),
            ],
        },)*]
    };
}

/// The network to which all others are linked.
pub(super) const HUB: &str = "geant";

/// The network whose operator asks.
pub(super) const ASKER: &str = "dfn";

/// All networks.
pub(super) const NETWORKS: [Network; 10] = networks! {
    "geant" "GÉANT" 20965;
    "dfn" "DFN" 680;
    "janet" "Janet" 786;
    "renater" "RENATER" 2200;
    "garr" "GARR" 137;
    "surf" "SURF" 1103;
    "switch" "SWITCH" 559;
    "cesnet" "CESNET" 2852;
    "rediris" "RedIRIS" 766;
    "internet2" "Internet2" 11537;
};
