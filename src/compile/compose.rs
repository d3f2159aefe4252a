//! The merged view: domains' views joined into one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::ident::{Digest, DomainLabel, MetricName, PidName, Sha256, Tag};
use crate::net::Matrix;
use crate::publish::{
    Access, Across, Composed, Costs, Crossing, Inside, Origin, Plan, PlannedDomain, Rule, View,
    ViewName,
};

use super::facts::Interconnects;
use super::links::{Confirmed, InterconnectStanding, interconnects};
use super::merge_conflict::{MergeConflictKind, MergeConflicts};
use super::merged_network::MergedNetwork;
use super::merged_properties::MergedProperties;
use super::policy::MergePolicy;
use super::routes::{FULL_SHARES, Measured, RoutePlan, access};

/// What one domain states.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its label.
    pub label: DomainLabel,
    /// Its view.
    pub view: Arc<View>,
    /// Its links to other domains.
    pub interconnects: Arc<Interconnects>,
    /// The digest of all of it.
    pub digest: Tag,
}

/// The merged view, and what it was made of.
#[derive(Debug)]
pub struct Merged {
    /// The view.
    pub view: Arc<View>,
    /// What domains state and the view does not use.
    pub conflicts: MergeConflicts,
    /// All interconnects that domains declare.
    pub interconnects: Vec<InterconnectStanding>,
    network: Arc<MergedNetwork>,
    properties: Arc<MergedProperties>,
    routes: Arc<RoutePlan>,
    /// What was worked out for each domain, to be shared with the next.
    accesses: BTreeMap<DomainLabel, Accesses>,
}

/// The access of a domain in each metric that is composed.
type Accesses = BTreeMap<MetricName, KnownAccess>;

/// An access and what it was made of.
#[derive(Debug, Clone)]
struct KnownAccess {
    matrix: Option<Arc<Matrix>>,
    pids: usize,
    borders: Vec<u32>,
    scale: f64,
    rule: Rule,
    access: Arc<Access>,
}

/// Names the way of composing in the tags of composed costs: another way that
/// gives other costs needs another name.
const ALGORITHM: &[u8] = b"altofed merge 1\n";

/// Makes the merged view over the views of domains, in whatever order they are
/// given. `former` is the result to share with.
///
/// Its PIDs are `<domain>:<pid>`. Inside a domain a cost is the domain's own;
/// between two it is composed along the path of least cost in the policy's
/// metric over confirmed interconnects, through no domain twice.
pub fn merged_view(domains: &[Domain], policy: &MergePolicy, former: Option<&Merged>) -> Merged {
    let (domains, mut conflicts) = usable(domains);
    let domains = &domains[..];
    let composed = offered(domains)
        .iter()
        .filter(|metric| policy.rule(metric).is_some())
        .count();
    let (standings, confirmed, link_conflicts) = interconnects(domains, composed);
    let borders = borders(domains.len(), &confirmed);
    let join = Join {
        domains,
        policy,
        borders: &borders,
        confirmed: &confirmed,
    };
    let (network, between) = rayon::join(
        || MergedNetwork::new(domains, policy, former.map(|former| &former.network)),
        || join.between(former),
    );
    let properties = MergedProperties::new(
        domains,
        policy,
        former.map(|former| &former.properties),
        former.is_some_and(|former| Arc::ptr_eq(&former.network, &network)),
    );
    let costs = join.costs(&network, &between);

    conflicts.append(&network.conflicts);
    conflicts.append(&properties.conflicts);
    conflicts.append(&link_conflicts);
    join.add_unsettled(&between.routes, &mut conflicts);
    let plan = Plan {
        domains: join.planned(&network.first),
        crossings: join.crossings(),
        topology: between.routes.topology.clone(),
        effort: policy.effort(),
        selected: between.selected,
        costs: costs.clone(),
    };
    let view = View::new(
        ViewName::Merged,
        join.origin(),
        network.map.clone(),
        costs,
        properties.properties.clone(),
        former.map(|former| &*former.view),
    );
    Merged {
        view: Arc::new(view.with_plan(Arc::new(plan))),
        conflicts,
        interconnects: standings,
        network,
        properties,
        routes: between.routes,
        accesses: between.accesses,
    }
}

/// The domains that can be joined, sorted as their PIDs are to be.
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

/// The metrics that some domain has, and routingcost.
fn offered(domains: &[&Domain]) -> BTreeSet<MetricName> {
    let metrics = domains.iter().flat_map(|domain| domain.view.costs().keys());
    let metrics = metrics.cloned();
    metrics.chain([MetricName::routingcost()]).collect()
}

/// The PIDs of each domain where confirmed interconnects start or end.
fn borders(domains: usize, confirmed: &[Confirmed<'_>]) -> Vec<Vec<u32>> {
    let mut borders = vec![BTreeSet::new(); domains];
    for link in confirmed {
        borders[link.from.0].insert(link.from.1);
    }
    borders
        .into_iter()
        .map(|pids| pids.into_iter().collect())
        .collect()
}

/// What there is between domains.
struct Between {
    routes: Arc<RoutePlan>,
    /// In the metric that paths are selected by.
    selected: Across,
    /// In each other metric that is composed.
    others: BTreeMap<MetricName, Across>,
    accesses: BTreeMap<DomainLabel, Accesses>,
}

/// What is joined.
struct Join<'a> {
    domains: &'a [&'a Domain],
    policy: &'a MergePolicy,
    borders: &'a [Vec<u32>],
    confirmed: &'a [Confirmed<'a>],
}

impl Join<'_> {
    fn between(&self, former: Option<&Merged>) -> Between {
        let select = self.measured(&self.policy.select_by, Rule::Add);
        let offered = offered(self.domains);
        let others = offered.iter().filter(|m| **m != self.policy.select_by);
        let others: Vec<Measured> = others
            .filter_map(|metric| Some(self.measured(metric, self.policy.rule(metric)?)))
            .collect();
        let routes = RoutePlan::new(
            &select,
            &others,
            self.borders,
            &self.border_names(),
            self.confirmed,
            self.policy.effort(),
            former.map(|former| &former.routes),
        );
        let mut accesses = BTreeMap::new();
        let selected = Across {
            rule: Rule::Add,
            routes: routes.routes.clone(),
            select: self.accesses(&select, former, &mut accesses),
            other: None,
        };
        let mut across = BTreeMap::new();
        for (place, measured) in others.iter().enumerate() {
            let access = self.accesses(measured, former, &mut accesses);
            let in_metric = Across {
                rule: measured.rule,
                other: Some((place, access)),
                ..selected.clone()
            };
            across.insert(measured.metric.clone(), in_metric);
        }
        Between {
            routes,
            selected,
            others: across,
            accesses,
        }
    }

    /// The costs in every metric that is offered.
    fn costs(&self, network: &MergedNetwork, between: &Between) -> BTreeMap<MetricName, Costs> {
        let inputs = self.digest(network.map.tag(), &between.routes.inputs);
        let composed = |metric: MetricName| {
            let across = match metric == self.policy.select_by {
                true => Some(between.selected.clone()),
                false => between.others.get(&metric).cloned(),
            };
            let composed = Composed {
                tag: Digest::of_parts(&[inputs.as_bytes(), metric.as_str().as_bytes()]).into(),
                size: network.map.pids().len(),
                domains: self.inside(&metric, &network.first),
                across,
            };
            (metric, Costs::Composed(Arc::new(composed)))
        };
        offered(self.domains).into_iter().map(composed).collect()
    }

    fn matrix(&self, domain: &Domain, metric: &MetricName) -> Option<Arc<Matrix>> {
        match domain.view.costs().get(metric)? {
            Costs::Dense(matrix) => Some(matrix.clone()),
            Costs::Composed(_) => None,
        }
    }

    fn scale(&self, domain: &Domain, metric: &MetricName) -> f64 {
        self.policy.scale(&domain.label, metric)
    }

    /// The borders by names that hold beyond this merge.
    fn border_names(&self) -> Vec<Vec<String>> {
        let named = self.domains.iter().zip(self.borders);
        let names = named.map(|(domain, borders)| {
            let pids = domain.view.network().pids();
            let pid = |pid: &u32| pids.name(*pid).map_or("", PidName::as_str);
            let names = borders.iter().map(pid);
            names.map(|pid| format!("{}:{pid}", domain.label)).collect()
        });
        names.collect()
    }

    /// The measures of a metric between borders.
    fn measured(&self, metric: &MetricName, rule: Rule) -> Measured {
        let matrices: Vec<_> = self
            .domains
            .iter()
            .map(|d| self.matrix(d, metric))
            .collect();
        let scales: Vec<_> = self.domains.iter().map(|d| self.scale(d, metric)).collect();
        Measured::new(
            metric,
            rule,
            &matrices,
            &scales,
            self.borders,
            self.confirmed,
        )
    }

    /// The access of each domain in a metric, shared with `former` where it is
    /// made of the same, and put into `known`.
    fn accesses(
        &self,
        measured: &Measured,
        former: Option<&Merged>,
        known: &mut BTreeMap<DomainLabel, Accesses>,
    ) -> Arc<[Arc<Access>]> {
        let metric = &measured.metric;
        let domains: Vec<_> = self.domains.iter().zip(self.borders).collect();
        let made = domains.into_par_iter().map(|(domain, borders)| {
            let (matrix, scale) = (self.matrix(domain, metric), self.scale(domain, metric));
            let before = former.and_then(|former| former.accesses.get(&domain.label)?.get(metric));
            let pids = domain.view.network().pids().len();
            let same = before.filter(|before| {
                let same_matrix = match (&before.matrix, &matrix) {
                    (None, None) => true,
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    _ => false,
                };
                same_matrix
                    && before.pids == pids
                    && before.borders == *borders
                    && before.scale == scale
                    && before.rule == measured.rule
            });
            same.cloned().unwrap_or_else(|| {
                let access = access(measured.rule, matrix.as_deref(), scale, pids, borders);
                KnownAccess {
                    access: Arc::new(access),
                    matrix,
                    pids,
                    borders: borders.clone(),
                    scale,
                    rule: measured.rule,
                }
            })
        });
        let made: Vec<KnownAccess> = made.collect();
        let shared = made.iter().map(|known| known.access.clone()).collect();
        for (domain, made) in self.domains.iter().zip(made) {
            let of_domain = known.entry(domain.label.clone()).or_default();
            of_domain.insert(metric.clone(), made);
        }
        shared
    }

    /// The domains' own costs in a metric.
    fn inside(&self, metric: &MetricName, first: &[usize]) -> Box<[Inside]> {
        let domains = self.domains.iter().zip(first);
        let inside = domains.map(|(domain, &first)| Inside {
            first,
            pids: domain.view.network().pids().len(),
            costs: self.matrix(domain, metric),
            scale: self.scale(domain, metric),
        });
        inside.collect()
    }

    fn planned(&self, first: &[usize]) -> Box<[PlannedDomain]> {
        let domains = self.domains.iter().zip(first).zip(self.borders);
        let planned = domains.map(|((domain, &first), borders)| PlannedDomain {
            label: domain.label.clone(),
            first,
            view: domain.view.clone(),
            scale: self.scale(domain, &MetricName::routingcost()),
            borders: borders.as_slice().into(),
        });
        planned.collect()
    }

    fn crossings(&self) -> Box<[Crossing]> {
        let crossings = self.confirmed.iter().map(|link| {
            let scaled = |(metric, cost): (&MetricName, &f64)| {
                (
                    metric.clone(),
                    cost * self.scale(self.domains[link.from.0], metric),
                )
            };
            Crossing {
                id: link.id.clone(),
                costs: link.here.costs.iter().map(scaled).collect(),
            }
        });
        crossings.collect()
    }

    /// The digest of all that the view's costs are made of.
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
        }
        hasher.finish()
    }

    fn add_unsettled(&self, routes: &RoutePlan, conflicts: &mut MergeConflicts) {
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

    /// The serial of our own domain, and when the newest part was received.
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
