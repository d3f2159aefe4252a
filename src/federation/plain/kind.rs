//! Checks that a network map is that of a single domain.
//!
//! A node of our kind serves a view that joins all domains it has. If it were read as one plain
//! domain, that domain would be given the addresses of all others.

use std::collections::BTreeSet;

use crate::alto::media;
use crate::client::Directory;
use crate::federation::import_error::ImportError;
use crate::ident::DomainLabel;
use crate::net::PidIndex;
use crate::publish::ViewName;
use crate::publish::service::names;

/// Checks that the network map with this id, which has these PIDs, can be that of `domain`.
///
/// # Errors
/// [`ImportError::Merged`]: a node of our kind serves it as a view of several domains, or of
/// another domain.
pub(super) fn one_domain(
    domain: &DomainLabel,
    directory: &Directory,
    id: &str,
    pids: &PidIndex,
) -> Result<(), ImportError> {
    let map_of = |domain| ViewName::Domain(domain).resource_id(names::NETWORK_MAP);
    if id.eq_ignore_ascii_case(map_of(domain.clone()).as_str()) {
        return Ok(());
    }
    let of_our_kind = directory.descriptor.is_some();
    let is_other = matches!(
        ViewName::split(id),
        Some((ViewName::Domain(_), names::NETWORK_MAP))
    );
    if of_our_kind && is_other {
        return Err(merged(domain, &format!("{id:?} is of another domain")));
    }
    // A node that does not announce itself is recognised by its views of the domains that the
    // map's PIDs belong to.
    let labels = pids
        .names()
        .iter()
        .filter_map(|pid| pid.as_str().split_once(':'));
    let labels: BTreeSet<&str> = labels.map(|(label, _)| label).collect();
    let has_view = |label: &&str| {
        let domain = DomainLabel::new(label).ok();
        let map = domain.and_then(|domain| directory.get(map_of(domain).as_str()));
        map.is_some_and(|map| {
            map.entry.media_type == media::NETWORK_MAP && map.entry.accepts.is_none()
        })
    };
    if of_our_kind || labels.iter().any(has_view) {
        Err(merged(domain, &format!("{id:?} joins several domains")))
    } else {
        Ok(())
    }
}

fn merged(domain: &DomainLabel, what: &str) -> ImportError {
    ImportError::Merged(format!(
        "the network map {what}: it is a view that a node of altofed serves, and not what \
         {domain} states; read the node by its manifests (`protocol`, and what `altofed check` there \
         says that a proxy has to forward), or only the view of {domain}, by the \
         `directory` …/views/{domain}/directory"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::federation::testing::{crawled, label, pid};

    fn directory(announces: bool, maps: &[&str]) -> Directory {
        let root = Url::parse("https://alto.example/dir").expect("a URL");
        let map = json!({"uri": "x", "media-type": "application/alto-networkmap+json"});
        let resources = maps.iter().map(|&id| (id.to_owned(), map.clone()));
        let mut directory = json!({
            "meta": {}, "resources": resources.collect::<serde_json::Map<_, _>>(),
        });
        if announces {
            directory["meta"]["alto-federation"] = "/s2s/v1/descriptor".into();
        }
        crawled(&root, &directory)
    }

    fn code(announces: bool, maps: &[&str], id: &str, pids: &[&str]) -> &'static str {
        let mut pids: Vec<_> = pids.iter().map(|name| pid(name)).collect();
        pids.sort();
        let pids = PidIndex::new(pids);
        match one_domain(&label("isp-b"), &directory(announces, maps), id, &pids) {
            Ok(()) => "one",
            Err(refusal) => refusal.code(),
        }
    }

    #[test]
    fn what_a_node_of_our_kind_joins_is_no_domain() {
        let all = ["networkmap", "isp-b:networkmap", "isp-c:networkmap"];
        let joined = ["isp-b:east", "isp-c:west", "default"];
        assert_eq!(code(true, &all, "networkmap", &joined), "merged");
        assert_eq!(code(true, &all, "networkmap", &["isp-b:east"]), "merged");
        assert_eq!(code(true, &["networkmap"], "networkmap", &[]), "merged");
        // The same holds if the announcement was lost on the way.
        assert_eq!(code(false, &all, "networkmap", &joined), "merged");
        assert_eq!(code(false, &all, "renamed", &joined), "merged");
    }

    #[test]
    fn the_view_of_one_domain_is_that_one_and_no_other() {
        let one = ["isp-b:networkmap"];
        assert_eq!(code(true, &one, one[0], &["east"]), "one");
        assert_eq!(
            code(true, &["ISP-B:networkmap"], "ISP-B:networkmap", &[]),
            "one"
        );
        let other = "isp-c:networkmap";
        assert_eq!(code(true, &[other], other, &["east"]), "merged");
    }

    #[test]
    fn a_plain_server_may_call_its_pids_what_it_likes() {
        let pids = ["eu:east", "isp-c:west", "default"];
        assert_eq!(code(false, &["net"], "net", &pids), "one");
        assert_eq!(code(false, &["networkmap"], "networkmap", &pids), "one");
        assert_eq!(code(false, &["net", "eu:costs"], "net", &pids), "one");
    }
}
