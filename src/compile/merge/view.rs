//! The merged view: domains' views joined into one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ident::{Digest, DomainLabel, MetricName, PidName, Sha256, Tag};
use crate::paths::{Across, Composed, Inside, OtherMetric, PathDomain, Paths, Rule, Sets};
use crate::publish::{Costs, Origin, View, ViewName};

use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::interconnects::MergedInterconnects;
use super::measures::{Former, Measured, matrix};
use super::metrics::Offered;
use super::network::MergedNetwork;
use super::policy::MergePolicy;
use super::properties::MergedProperties;
use super::routes::{FULL_SHARES, MergedRoutes};
use crate::api::conflict::MergeConflictKind;
use crate::api::interconnect::InterconnectStanding;

/// The result of a merge, with the parts that the next one can share.
#[derive(Debug)]
pub struct Merged {
    /// The view.
    pub view: Arc<View>,
    /// The paths that its costs between domains follow.
    pub paths: Arc<Paths>,
    /// How many prefixes of other domains are off-net, and not used.
    pub off_net: u64,
    /// The statements of domains that the view does not use, or uses with a remark.
    pub conflicts: MergeConflicts,
    /// All declared interconnects, those from and to our own domain first.
    pub interconnects: Arc<[InterconnectStanding]>,
    labels: Vec<DomainLabel>,
    links: Arc<MergedInterconnects>,
    network: Arc<MergedNetwork>,
    properties: Arc<MergedProperties>,
    routes: Arc<MergedRoutes>,
    measures: Measures,
}

/// Names the algorithm in the tags of composed costs; one with other results needs another name.
const ALGORITHM: &[u8] = b"altofed merge 2\n";

/// Joins the views of domains, given in any order, into the merged view. `former` is the last
/// result: what did not change is shared with it.
///
/// PIDs are `<domain>:<pid>`. Inside a domain a cost is the domain's own; between two domains it is
/// composed along the path over confirmed interconnects that has the least cost in the policy's
/// metric and passes no domain twice.
pub fn merged_view(domains: &[Domain], policy: &MergePolicy, former: Option<&Merged>) -> Merged {
    let (domains, mut conflicts) = usable(domains);
    let domains = &domains[..];
    let offered = Offered::new(domains, policy);
    let known = former.map(|former| &former.links);
    let links = MergedInterconnects::new(domains, policy, offered.composed(policy), known);
    let join = Join {
        domains,
        policy,
        metrics: &offered.metrics,
        links: &links,
    };
    let (network, between) = rayon::join(
        || MergedNetwork::new(domains, policy, former.map(|former| &former.network)),
        || join.between(former),
    );
    let properties = MergedProperties::new(
        domains,
        policy,
        &network,
        former.map(|former| &former.properties),
        former.is_some_and(|former| Arc::ptr_eq(&former.network, &network)),
    );
    let sets = join.sets(&network);
    let composed = join.composed(&network, &between, &sets);
    let costs = composed.iter();
    let costs = costs.map(|(metric, costs)| (metric.clone(), Costs::Composed(costs.clone())));
    let view = View::new(
        ViewName::Merged,
        join.origin(),
        network.map.clone(),
        costs.collect(),
        properties.properties.clone(),
        former.map(|former| &*former.view),
    );

    conflicts.append(&network.conflicts);
    conflicts.append(&properties.conflicts);
    conflicts.append(&links.conflicts);
    conflicts.append(&offered.conflicts);
    join.add_unsettled(&between.routes, &mut conflicts);
    let paths = Paths {
        domains: join.joined(&network.first),
        crossings: links.crossings.clone(),
        graph: between.routes.graph.clone(),
        effort: policy.effort(),
        selected: between.selected,
        costs: composed,
        sets,
    };
    Merged {
        view: Arc::new(view),
        paths: Arc::new(paths),
        off_net: network.off_net,
        conflicts,
        interconnects: links.standings.clone(),
        labels: domains.iter().map(|domain| domain.label.clone()).collect(),
        links,
        network,
        properties,
        routes: between.routes,
        measures: between.measures,
    }
}

/// Returns the domains that can be joined, in the order of their PIDs in the merged view, and the
/// conflicts about the others.
fn usable(domains: &[Domain]) -> (Vec<&Domain>, MergeConflicts) {
    let mut conflicts = MergeConflicts::default();
    let mut usable: Vec<&Domain> = domains.iter().collect();
    usable.sort_by_cached_key(|domain| (format!("{}:", domain.label), domain.digest.clone()));
    let mut leave_out = |domain: &Domain, subject: String, detail: &str| {
        conflicts.add(MergeConflictKind::Domain, &domain.label, || {
            (None, subject, detail.to_owned())
        });
    };
    usable.dedup_by(|next, first| {
        let again = next.label == first.label;
        if again {
            let detail = "another view of this domain is used; give each domain once";
            leave_out(next, next.digest.to_string(), detail);
        }
        again
    });
    usable.retain(|domain| {
        let max = domain.label.max_pid_len();
        let pids = domain.view.network().pids().names().iter();
        let mut long = pids.filter(|pid| pid.as_str().len() > max);
        match long.next() {
            None => true,
            Some(pid) => {
                let detail = "the PID name is too long to have the label put before it";
                leave_out(domain, pid.to_string(), detail);
                false
            }
        }
    });
    (usable, conflicts)
}

/// The measures of all metrics that are composed.
#[derive(Debug)]
struct Measures {
    /// Those of the metric that selects paths.
    select: Measured,
    others: Vec<Measured>,
}

/// All costs between domains.
struct Between {
    routes: Arc<MergedRoutes>,
    /// In the metric that selects paths.
    selected: Across,
    /// In every other metric that is composed.
    others: BTreeMap<MetricName, Across>,
    measures: Measures,
}

impl Measures {
    fn all(&self) -> impl Iterator<Item = &Measured> {
        std::iter::once(&self.select).chain(&self.others)
    }

    /// Returns whether both share all measures between borders.
    fn same_between(&self, other: &Measures) -> bool {
        self.others.len() == other.others.len()
            && self.all().zip(other.all()).all(|(a, b)| a.same_between(b))
    }
}

/// A merge in progress.
struct Join<'a> {
    domains: &'a [&'a Domain],
    policy: &'a MergePolicy,
    metrics: &'a BTreeSet<MetricName>,
    links: &'a Arc<MergedInterconnects>,
}

impl Join<'_> {
    /// Composes the costs between domains; shares what it can with `former`.
    fn between(&self, former: Option<&Merged>) -> Between {
        let measures = self.measures(former);
        let routes = self.routes(&measures, former);
        let selected = Across {
            rule: Rule::Add,
            routes: routes.routes.clone(),
            select: measures.select.border_costs(),
            other: None,
        };
        let others = measures.others.iter().enumerate();
        let others = others.map(|(place, measured)| {
            let in_metric = Across {
                rule: measured.rule,
                other: Some(OtherMetric {
                    place,
                    borders: measured.border_costs(),
                }),
                ..selected.clone()
            };
            (measured.metric.clone(), in_metric)
        });
        Between {
            others: others.collect(),
            routes,
            selected,
            measures,
        }
    }

    /// Measures all metrics that are composed; shares what it can with `former`.
    fn measures(&self, former: Option<&Merged>) -> Measures {
        let places = former
            .iter()
            .flat_map(|former| former.labels.iter().zip(0..));
        let places: HashMap<&DomainLabel, usize> = places.collect();
        let measured = |metric: &MetricName, rule| {
            let known = former.and_then(|former| {
                let known = former.measures.all().find(|known| known.metric == *metric);
                Some(Former {
                    measured: known?,
                    places: &places,
                    same_links: Arc::ptr_eq(&former.links, self.links),
                })
            });
            Measured::new(metric, rule, self.domains, self.policy, self.links, known)
        };
        let others = self.metrics.iter();
        let others = others.filter(|metric| **metric != self.policy.select_by);
        Measures {
            select: measured(&self.policy.select_by, Rule::Add),
            others: others
                .filter_map(|metric| Some(measured(metric, self.policy.rule(metric)?)))
                .collect(),
        }
    }

    fn routes(&self, measures: &Measures, former: Option<&Merged>) -> Arc<MergedRoutes> {
        let effort = self.policy.effort();
        let same = |former: &&Merged| {
            former.routes.effort == effort
                && Arc::ptr_eq(&former.links, self.links)
                && former.measures.same_between(measures)
        };
        if let Some(former) = former.filter(same) {
            return former.routes.clone();
        }
        MergedRoutes::new(
            &measures.select,
            &measures.others,
            self.links,
            &self.border_names(),
            effort,
            former.map(|former| &former.routes),
        )
    }

    /// Returns the costs in every metric that is offered.
    fn composed(
        &self,
        network: &MergedNetwork,
        between: &Between,
        sets: &Arc<Sets>,
    ) -> BTreeMap<MetricName, Arc<Composed>> {
        let inputs = self.digest(network.map.tag(), &between.routes.inputs);
        let composed = |metric: &MetricName| {
            let across = if *metric == self.policy.select_by {
                Some(between.selected.clone())
            } else {
                between.others.get(metric).cloned()
            };
            let composed = Composed {
                tag: Digest::of_parts(&[inputs.as_bytes(), metric.as_str().as_bytes()]).into(),
                size: network.map.pids().len(),
                domains: self.inside(metric, &network.first),
                across,
                sets: sets.clone(),
            };
            (metric.clone(), Arc::new(composed))
        };
        self.metrics.iter().map(composed).collect()
    }

    /// Returns the PIDs that stand for PIDs of several domains.
    fn sets(&self, network: &MergedNetwork) -> Arc<Sets> {
        if network.sets.is_empty() {
            return Arc::default();
        }
        let members = network.sets.iter().map(|set| set.members.clone().into());
        Arc::new(Sets {
            first: network.first_set,
            members: members.collect(),
            select: self.inside(&self.policy.select_by, &network.first),
        })
    }

    fn scale(&self, domain: &Domain, metric: &MetricName) -> f64 {
        self.policy.scale(&domain.label, metric)
    }

    /// Returns the names of the borders, which stay the same from merge to merge.
    fn border_names(&self) -> Vec<Vec<String>> {
        let named = self.domains.iter().zip(&self.links.borders);
        let names = named.map(|(domain, borders)| {
            let pids = domain.view.network().pids();
            let pid = |pid: &u32| pids.name(*pid).map_or("", PidName::as_str);
            let names = borders.iter().map(pid);
            names.map(|pid| format!("{}:{pid}", domain.label)).collect()
        });
        names.collect()
    }

    /// Returns the domains' own costs in a metric.
    fn inside(&self, metric: &MetricName, first: &[usize]) -> Box<[Inside]> {
        let domains = self.domains.iter().zip(first);
        let inside = domains.map(|(domain, &first)| Inside {
            first,
            pids: domain.view.network().pids().len(),
            costs: matrix(domain, metric),
            scale: self.scale(domain, metric),
        });
        inside.collect()
    }

    fn joined(&self, first: &[usize]) -> Box<[PathDomain]> {
        let domains = self.domains.iter().zip(first).zip(&self.links.borders);
        let joined = domains.map(|((domain, &first), borders)| PathDomain {
            label: domain.label.clone(),
            first,
            pids: domain.view.network().pids().clone(),
            borders: borders.clone(),
            serial: domain.view.origin().serial,
            received: domain.view.origin().received,
        });
        joined.collect()
    }

    /// Returns the digest of all input that the view's costs depend on.
    fn digest(&self, network: &Tag, routes: &Digest) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(ALGORITHM);
        for text in [network.as_str(), self.policy.select_by.as_str()] {
            hasher.update(text.as_bytes());
            hasher.update(b"\n");
        }
        hasher.update(routes.as_bytes());
        for domain in self.domains {
            for text in [domain.label.as_str(), domain.digest.as_str()] {
                hasher.update(text.as_bytes());
                hasher.update(b"\n");
            }
            let scale = self.scale(domain, &MetricName::routingcost());
            hasher.update(&scale.to_bits().to_le_bytes());
            // Of equal paths to an address that several domains hold, preferences decide.
            let preference = self.policy.preference(&domain.label);
            hasher.update(&preference.to_le_bytes());
        }
        hasher.finish()
    }

    /// Reports the pairs of domains for which the labels did not suffice.
    fn add_unsettled(&self, routes: &MergedRoutes, conflicts: &mut MergeConflicts) {
        for (domain, from) in self.domains.iter().zip(&routes.routes.from) {
            for to in from.unsettled.iter().map(|&to| self.domains[to as usize]) {
                conflicts.add(MergeConflictKind::UnsettledPair, &domain.label, || {
                    let detail = format!(
                        "{} labels for a border, and {FULL_SHARES} times as many for all, do not suffice to find the best paths to domain {}; raise max_labels",
                        self.policy.max_labels, to.label
                    );
                    (Some(to.label.clone()), to.label.to_string(), detail)
                });
            }
        }
    }

    /// Returns the serial of our own domain, and the time when the newest part was received.
    fn origin(&self) -> Origin {
        let own = self
            .domains
            .iter()
            .find(|domain| domain.label == self.policy.own);
        let received = self
            .domains
            .iter()
            .map(|domain| domain.view.origin().received);
        Origin {
            serial: own.map_or(0, |own| own.view.origin().serial),
            received: received.max().unwrap_or_default(),
        }
    }
}
