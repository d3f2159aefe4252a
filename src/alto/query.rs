//! Queries of costs: the request members that the filtered cost map (RFC 7285 §11.3.2.3) and the
//! endpoint cost service (§11.5.1.3) share, with the multi-cost extension (RFC 8189 §4.1.2).

use std::borrow::Cow;

use serde::de::MapAccess;

use super::condition::{Conditions, Interval, MAX_ALTERNATIVES, Operator, TooMany};
use super::error::AltoError;
use super::json::{ListOf, Once, Read, Step, StringBy, Walk, members, once, skip};
use super::meta::{CostType, ReadCostType, StatedCostType, any_text};
use super::network::pid_text;
use crate::ident::TypedAddress;

/// The members of a request that are about costs, as they were sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CostQuery<'a> {
    /// `cost-type`; also `None` if it was the empty object, given together with
    /// `multi-cost-types`.
    pub cost_type: Option<StatedCostType<'a>>,
    /// `multi-cost-types`
    pub multi_cost_types: Option<Vec<StatedCostType<'a>>>,
    /// `testable-cost-types`
    pub testable_cost_types: Option<Vec<StatedCostType<'a>>>,
    /// `constraints`
    pub constraints: Option<Vec<Cow<'a, str>>>,
    /// `or-constraints`
    pub or_constraints: Option<Vec<Vec<Cow<'a, str>>>>,
}

/// The capabilities of a filtered cost map or an endpoint cost resource (RFC 7285 §11.3.2.4, RFC
/// 8189 §4.1.1). Constraints may test every cost type: `cost-constraints` is true and
/// `testable-cost-type-names` is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostCapabilities {
    /// The cost types, each once.
    pub cost_types: Vec<CostType>,
    /// The most cost types of an answer.
    pub max_cost_types: usize,
}

/// A query that was checked against the capabilities of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct CostSelection {
    /// The cost types to return, in this order.
    pub wanted: Vec<CostType>,
    /// Whether costs are returned as arrays, even those of one cost type.
    pub multi: bool,
    /// The conditions that a pair must meet.
    pub conditions: Conditions,
}

/// A predicate as written: `[index] op number`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Predicate {
    index: usize,
    operator: Operator,
    value: f64,
}

impl Predicate {
    /// Parses `[ "[" index "]" WS ] op WS number`. The index is part of the multi-cost extension
    /// (RFC 8189 §4.1.2).
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut word = words.next()?;
        let mut index = 0;
        if let Some(inner) = word.strip_prefix('[') {
            let digits = inner.strip_suffix(']')?;
            let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            index = digits.parse().ok().filter(|_| decimal)?;
            word = words.next()?;
        }
        let operator = match word {
            "gt" => Operator::Greater,
            "lt" => Operator::Less,
            "ge" => Operator::AtLeast,
            "le" => Operator::AtMost,
            "eq" => Operator::Equal,
            _ => return None,
        };
        // serde_json rather than `f64::from_str`, which accepts `inf` and `.5`.
        let value: f64 = serde_json::from_str(words.next()?).ok()?;
        words.next().is_none().then_some(Self {
            index,
            operator,
            value,
        })
    }
}

impl CostQuery<'_> {
    /// Checks the query against the capabilities of a resource.
    ///
    /// # Errors
    /// The error of RFC 7285 §8.5.2, with `field` and `value`.
    pub fn select(&self, can: &CostCapabilities) -> Result<CostSelection, AltoError> {
        let (wanted, multi) = self.wanted(can)?;
        let testable = match &self.testable_cost_types {
            Some(stated) if stated.is_empty() => {
                return Err(AltoError::invalid_value("testable-cost-types", "[]"));
            }
            Some(stated) => each_supported(can, "testable-cost-types", stated)?,
            None => wanted.clone(),
        };
        Ok(CostSelection {
            wanted,
            multi,
            conditions: self.conditions(&testable)?,
        })
    }

    fn wanted(&self, can: &CostCapabilities) -> Result<(Vec<CostType>, bool), AltoError> {
        const FIELD: &str = "multi-cost-types";
        match (&self.cost_type, &self.multi_cost_types) {
            (None, None) => Err(AltoError::missing_field("cost-type")),
            (Some(_), Some(multi)) => Err(AltoError::invalid_value(FIELD, list_text(multi))),
            (Some(stated), None) => Ok((vec![supported(can, stated)?], false)),
            (None, Some(stated)) => {
                if stated.is_empty() || stated.len() > can.max_cost_types {
                    return Err(AltoError::invalid_value(FIELD, list_text(stated)));
                }
                Ok((each_supported(can, FIELD, stated)?, true))
            }
        }
    }

    fn conditions(&self, testable: &[CostType]) -> Result<Conditions, AltoError> {
        const ALL: &str = "constraints";
        const ANY: &str = "or-constraints";
        let testable = Testable::new(testable);
        let (field, groups) = match (&self.constraints, &self.or_constraints) {
            (Some(_), Some(_)) => {
                return Err(AltoError::invalid_value(
                    ANY,
                    "given beside constraints; give only one of the two",
                ));
            }
            (None, None) => return Ok(Conditions::default()),
            (Some(all), None) if all.is_empty() => return Ok(Conditions::default()),
            (Some(all), None) => (ALL, vec![testable.group(ALL, all)?]),
            (None, Some(any)) if any.is_empty() || any.iter().any(Vec::is_empty) => {
                return Err(AltoError::invalid_value(ANY, "[]"));
            }
            (None, Some(any)) => {
                let groups = any.iter().map(|all| testable.group(ANY, all));
                (ANY, groups.collect::<Result<_, _>>()?)
            }
        };
        Conditions::fold(testable.types, groups).map_err(|TooMany(count)| {
            let why = format!(
                "{count} alternatives are left when those on one metric are joined; at most \
                 {MAX_ALTERNATIVES} are taken: ask for wider ranges, or in several requests"
            );
            AltoError::invalid_value(field, why)
        })
    }
}

/// The cost types that predicates may test.
struct Testable {
    /// The cost types, each once.
    types: Vec<CostType>,
    /// For each type as it was stated, its place in `types`.
    places: Vec<usize>,
}

impl Testable {
    fn new(stated: &[CostType]) -> Self {
        let mut types: Vec<CostType> = Vec::new();
        let mut place = |stated: &CostType| {
            let known = types.iter().position(|known| known == stated);
            known.unwrap_or_else(|| {
                types.push(stated.clone());
                types.len() - 1
            })
        };
        let places = stated.iter().map(&mut place).collect();
        Self { types, places }
    }

    /// Returns the places and intervals of a group of predicates.
    fn group(
        &self,
        field: &str,
        all: &[Cow<'_, str>],
    ) -> Result<Vec<(usize, Interval)>, AltoError> {
        let interval = |text: &Cow<'_, str>| {
            let predicate = Predicate::parse(text)?;
            let place = *self.places.get(predicate.index)?;
            Some((place, Interval::of(predicate.operator, predicate.value)))
        };
        let wrong = |text: &Cow<'_, str>| AltoError::invalid_value(field, text.as_ref());
        all.iter()
            .map(|text| interval(text).ok_or_else(|| wrong(text)))
            .collect()
    }
}

/// Returns the cost type of `cost-type`. If the resource does not have it, the error names the
/// metric, or the mode if the resource has the metric in another mode (RFC 9274 §4).
fn supported(can: &CostCapabilities, stated: &StatedCostType<'_>) -> Result<CostType, AltoError> {
    if let Some(found) = can.cost_types.iter().find(|known| *known == stated) {
        return Ok(found.clone());
    }
    let metric = |known: &CostType| known.cost_metric.as_str() == stated.cost_metric;
    Err(if can.cost_types.iter().any(metric) {
        AltoError::invalid_value("cost-type/cost-mode", stated.cost_mode.as_ref())
    } else {
        AltoError::invalid_value("cost-type/cost-metric", stated.cost_metric.as_ref())
    })
}

fn each_supported(
    can: &CostCapabilities,
    field: &str,
    stated: &[StatedCostType<'_>],
) -> Result<Vec<CostType>, AltoError> {
    let known = |stated| can.cost_types.iter().find(|known| *known == stated);
    stated
        .iter()
        .map(|stated| {
            let text = || list_text(std::slice::from_ref(stated));
            known(stated)
                .cloned()
                .ok_or_else(|| AltoError::invalid_value(field, text()))
        })
        .collect()
}

/// Formats cost types for the `value` of an error: `metric mode, …`.
fn list_text(types: &[StatedCostType<'_>]) -> String {
    let text = |t: &StatedCostType<'_>| format!("{} {}", t.cost_metric, t.cost_mode);
    types.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The members of a request about costs, while it is read.
#[derive(Default)]
struct Members<'de> {
    cost_type: Once<Option<StatedCostType<'de>>>,
    multi_cost_types: Once<Vec<Option<StatedCostType<'de>>>>,
    testable_cost_types: Once<Vec<Option<StatedCostType<'de>>>>,
    constraints: Once<Vec<Cow<'de, str>>>,
    or_constraints: Once<Vec<Vec<Cow<'de, str>>>>,
}

impl<'de> Members<'de> {
    fn take<A: MapAccess<'de>>(
        &mut self,
        walk: &mut Walk<'de>,
        key: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let types = || ListOf::new(|| ReadCostType);
        let texts = || ListOf::new(any_text);
        match key {
            "cost-type" => once(walk, map, &mut self.cost_type, ReadCostType),
            "multi-cost-types" => once(walk, map, &mut self.multi_cost_types, types()),
            "testable-cost-types" => once(walk, map, &mut self.testable_cost_types, types()),
            "constraints" => once(walk, map, &mut self.constraints, texts()),
            "or-constraints" => once(walk, map, &mut self.or_constraints, ListOf::new(texts)),
            _ => skip(map),
        }
    }

    fn finish(self, walk: &mut Walk<'de>) -> CostQuery<'de> {
        let multi = self.multi_cost_types.is_present();
        let cost_type = match self.cost_type.get() {
            Some(None) if !multi => {
                walk.step(Step::Member("cost-type".into()), |walk| {
                    walk.missing("cost-metric");
                });
                None
            }
            stated => stated.flatten(),
        };
        let list = |types: Once<Vec<Option<StatedCostType<'de>>>>| {
            let known =
                |types: Vec<Option<_>>| types.into_iter().map(Option::unwrap_or_default).collect();
            types.get().map(known)
        };
        CostQuery {
            cost_type,
            multi_cost_types: list(self.multi_cost_types),
            testable_cost_types: list(self.testable_cost_types),
            constraints: self.constraints.get(),
            or_constraints: self.or_constraints.get(),
        }
    }
}

/// The parameters of a filtered cost map.
#[derive(Debug, Clone, PartialEq)]
pub struct CostMapFilter<'a> {
    /// The members about costs.
    pub query: CostQuery<'a>,
    /// `pids`: sources and destinations; an empty list stands for all. Unknown names are
    /// ignored.
    pub pids: Option<Pair<Cow<'a, str>>>,
}

/// Sources and destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    /// `srcs`
    pub srcs: Vec<T>,
    /// `dsts`
    pub dsts: Vec<T>,
}

/// Reads the parameters of a filtered cost map.
pub struct ReadCostMapFilter;

impl<'de> Read<'de> for ReadCostMapFilter {
    type Output = CostMapFilter<'de>;
    const WANTED: &'static str = "an object with cost-type or multi-cost-types";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut costs, mut pids) = (Members::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "pids" => once(
                walk,
                map,
                &mut pids,
                ReadPair {
                    item: pid_text,
                    both: true,
                },
            ),
            key => costs.take(walk, key, map),
        })?;
        Ok(Some(CostMapFilter {
            query: costs.finish(walk),
            pids: pids.get(),
        }))
    }
}

/// An endpoint of a request: its address, and the text that named it, which is used in the
/// answer too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The text as it was sent.
    pub text: Cow<'a, str>,
    /// The address that it names.
    pub address: TypedAddress,
}

/// Reads a typed endpoint address.
pub fn endpoint<'de>() -> impl Read<'de, Output = Endpoint<'de>> {
    StringBy(
        |walk: &mut Walk<'de>, text: Cow<'de, str>| match TypedAddress::parse(&text) {
            Ok(address) => Some(Endpoint { text, address }),
            Err(error) => {
                walk.invalid(&text, error.to_string());
                None
            }
        },
    )
}

/// The parameters of the endpoint cost service.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointCostParams<'a> {
    /// The members about costs.
    pub query: CostQuery<'a>,
    /// `endpoints`: an empty list stands for the client itself.
    pub endpoints: Pair<Endpoint<'a>>,
}

/// Reads the parameters of the endpoint cost service.
pub struct ReadEndpointCostParams;

impl<'de> Read<'de> for ReadEndpointCostParams {
    type Output = EndpointCostParams<'de>;
    const WANTED: &'static str = "an object with cost-type or multi-cost-types, and endpoints";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut costs, mut endpoints) = (Members::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "endpoints" => once(
                walk,
                map,
                &mut endpoints,
                ReadPair {
                    item: endpoint,
                    both: false,
                },
            ),
            key => costs.take(walk, key, map),
        })?;
        let query = costs.finish(walk);
        let endpoints = endpoints.required(walk, "endpoints");
        Ok(endpoints.map(|endpoints| EndpointCostParams { query, endpoints }))
    }
}

/// Reads `{"srcs": […], "dsts": […]}`.
struct ReadPair<F> {
    item: F,
    /// Whether both members are required; if not, an absent one is empty.
    both: bool,
}

impl<'de, R: Read<'de>, F: FnMut() -> R> Read<'de> for ReadPair<F> {
    type Output = Pair<R::Output>;
    const WANTED: &'static str = "an object with srcs and dsts";

    fn object<A: MapAccess<'de>>(
        mut self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut srcs, mut dsts) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "srcs" => once(walk, map, &mut srcs, ListOf::new(&mut self.item)),
            "dsts" => once(walk, map, &mut dsts, ListOf::new(&mut self.item)),
            _ => skip(map),
        })?;
        let mut list = |slot: Once<Vec<R::Output>>, name| {
            if self.both {
                slot.required(walk, name)
            } else {
                Some(slot.get().unwrap_or_default())
            }
        };
        let (srcs, dsts) = (list(srcs, "srcs"), list(dsts, "dsts"));
        Ok(srcs.zip(dsts).map(|(srcs, dsts)| Pair { srcs, dsts }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::error::ErrorCode;
    use crate::alto::json::read;
    use crate::alto::meta::CostMode;
    use crate::ident::MetricName;

    fn capabilities() -> CostCapabilities {
        let types = [
            ("routingcost", CostMode::Numerical),
            ("routingcost", CostMode::Ordinal),
            ("hopcount", CostMode::Numerical),
        ];
        CostCapabilities {
            cost_types: types
                .map(|(name, mode)| CostType::new(&MetricName::new(name).expect("valid"), mode))
                .to_vec(),
            max_cost_types: 2,
        }
    }

    fn select(text: &str) -> Result<CostSelection, AltoError> {
        let filter = read(text.as_bytes(), ReadCostMapFilter).map_err(AltoError::from)?;
        filter.query.select(&capabilities())
    }

    fn error(text: &str) -> (ErrorCode, String, String) {
        let error = select(text).expect_err(text);
        (
            error.code,
            error.field.unwrap_or_default(),
            error.value.unwrap_or_default(),
        )
    }

    const RC: &str = r#"{"cost-metric":"routingcost","cost-mode":"numerical"}"#;
    const HOP: &str = r#"{"cost-metric":"hopcount","cost-mode":"numerical"}"#;

    #[test]
    fn predicates_have_the_grammar_of_rfc_8189() {
        for good in [
            "le 10",
            "[0] le 10",
            "[12] ge -1.5e3",
            "[1]\tgt  0",
            " eq 4 ",
        ] {
            assert!(Predicate::parse(good).is_some(), "{good:?}");
        }
        for bad in [
            "[0]le 10",
            "[-1] le 1",
            "[0] <= 3",
            "[0] le",
            "[0] le ten",
            "[ 0 ] le 1",
            "",
            "le",
            "LE 3",
            "le inf",
            "le NaN",
            "le .5",
            "le 1 2",
            "[] le 1",
            "[+1] le 1",
            "le 1e999",
            "[99999999999999999999999] le 1",
        ] {
            assert!(Predicate::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn exactly_one_of_single_and_multi_is_needed() {
        assert_eq!(
            error("{}"),
            (ErrorCode::MissingField, "cost-type".into(), String::new())
        );
        assert_eq!(
            error(r#"{"cost-type":{}}"#),
            (
                ErrorCode::MissingField,
                "cost-type/cost-metric".into(),
                String::new()
            )
        );
        let both = error(&format!(
            r#"{{"cost-type":{RC},"multi-cost-types":[{RC}]}}"#
        ));
        assert_eq!(
            (both.0, both.1),
            (ErrorCode::InvalidFieldValue, "multi-cost-types".into())
        );
        let empty = select(&format!(
            r#"{{"cost-type":{{}},"multi-cost-types":[{RC}]}}"#
        ));
        assert!(empty.expect("an empty cost-type is absent").multi);
    }

    #[test]
    fn a_cost_type_is_matched_by_metric_and_mode_and_nothing_else() {
        let described = RC.replace(
            '}',
            r#","description":"x","cost-context":{"cost-source":"sla"}}"#,
        );
        assert!(select(&format!(r#"{{"cost-type":{described}}}"#)).is_ok());
        assert_eq!(
            error(r#"{"cost-type":{"cost-metric":"routingcost","cost-mode":"array"}}"#),
            (
                ErrorCode::InvalidFieldValue,
                "cost-type/cost-mode".into(),
                "array".into()
            )
        );
        assert_eq!(
            error(r#"{"cost-type":{"cost-metric":"delay-ow:p101","cost-mode":"numerical"}}"#),
            (
                ErrorCode::InvalidFieldValue,
                "cost-type/cost-metric".into(),
                "delay-ow:p101".into()
            )
        );
        assert_eq!(
            error(r#"{"cost-type":{"cost-metric":"hopcount","cost-mode":"ordinal"}}"#).1,
            "cost-type/cost-mode"
        );
        assert_eq!(
            error(r#"{"cost-type":{"cost-metric":7,"cost-mode":"numerical"}}"#),
            (
                ErrorCode::InvalidFieldType,
                "cost-type/cost-metric".into(),
                String::new()
            )
        );
    }

    #[test]
    fn multi_cost_types_are_one_to_the_maximum_and_may_repeat() {
        let types = |list: &str| format!(r#"{{"multi-cost-types":[{list}]}}"#);
        assert_eq!(select(&types(RC)).expect("one").wanted.len(), 1);
        assert_eq!(
            select(&types(&format!("{RC},{RC}")))
                .expect("repeated")
                .wanted
                .len(),
            2
        );
        for bad in [
            "",
            &format!("{RC},{RC},{HOP}"),
            r#"{"cost-metric":"x","cost-mode":"numerical"}"#,
            "{}",
        ] {
            let (code, field, _) = error(&types(bad));
            assert_eq!(
                (code, field.as_str()),
                (ErrorCode::InvalidFieldValue, "multi-cost-types"),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_index_selects_from_the_testable_types_of_the_request() {
        let selection = select(&format!(
            r#"{{"cost-type":{RC},"testable-cost-types":[{HOP}],"or-constraints":[["gt 2"],["[0] eq 1","le 4"]]}}"#
        ))
        .expect("sound");
        assert!(!selection.multi);
        let conditions = &selection.conditions;
        assert_eq!(conditions.tests(), 2);
        let [tested] = conditions.types() else {
            panic!("one type is tested: {conditions:?}");
        };
        assert_eq!(tested.cost_metric.as_str(), "hopcount");
        let outside = format!(r#"{{"cost-type":{RC},"constraints":["le 1","[1] le 3"]}}"#);
        assert_eq!(
            error(&outside),
            (
                ErrorCode::InvalidFieldValue,
                "constraints".into(),
                "[1] le 3".into()
            )
        );
    }

    #[test]
    fn more_alternatives_than_a_cell_is_tested_for_are_refused_with_the_limit() {
        let apart: Vec<String> = (0..101).map(|n| format!("[\"eq {n}\"]")).collect();
        let text = format!(
            r#"{{"cost-type":{RC},"or-constraints":[{}]}}"#,
            apart.join(",")
        );
        let (code, field, value) = error(&text);
        assert_eq!(
            (code, field.as_str()),
            (ErrorCode::InvalidFieldValue, "or-constraints")
        );
        assert!(value.starts_with("101 alternatives"), "{value}");
        assert!(value.contains("at most 100"), "{value}");
    }

    #[test]
    fn constraints_are_all_or_groups_of_them_but_not_both() {
        let with = |rest: &str| format!(r#"{{"cost-type":{RC},{rest}}}"#);
        assert!(
            select(&with(r#""constraints":[]"#))
                .expect("no filter")
                .conditions
                .is_none()
        );
        for bad in [
            r#""or-constraints":[]"#,
            r#""or-constraints":[[]]"#,
            r#""or-constraints":[["le 3"],[]]"#,
            r#""or-constraints":[["le 3"]],"constraints":[]"#,
        ] {
            let (code, field, _) = error(&with(bad));
            assert_eq!(
                (code, field.as_str()),
                (ErrorCode::InvalidFieldValue, "or-constraints"),
                "{bad}"
            );
        }
        assert_eq!(
            error(&with(r#""constraints":[7]"#)),
            (
                ErrorCode::InvalidFieldValue,
                "constraints".into(),
                "7".into()
            )
        );
        assert_eq!(
            error(&with(r#""constraints":"le 3""#)).0,
            ErrorCode::InvalidFieldType
        );
        assert_eq!(
            error(&with(r#""testable-cost-types":[]"#)).1,
            "testable-cost-types"
        );
    }

    #[test]
    fn both_lists_of_pids_are_needed_and_those_of_endpoints_are_not() {
        let text = format!(r#"{{"cost-type":{RC},"pids":{{"dsts":[]}}}}"#);
        let missing = read(text.as_bytes(), ReadCostMapFilter);
        let error = AltoError::from(missing.expect_err("srcs"));
        assert_eq!(
            (error.code, error.field.as_deref()),
            (ErrorCode::MissingField, Some("pids/srcs"))
        );
        let text = format!(r#"{{"cost-type":{RC},"endpoints":{{"dsts":["ipv4:192.0.2.1"]}}}}"#);
        let params = read(text.as_bytes(), ReadEndpointCostParams).expect("sound");
        assert!(params.endpoints.srcs.is_empty());
    }
}
