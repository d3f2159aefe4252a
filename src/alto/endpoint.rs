//! The parameters of the endpoint property service (RFC 7285 §11.4.1.3).

use std::borrow::Cow;

use serde::de::MapAccess;

use super::json::{ListOf, Once, Read, Walk, members, once, skip};
use super::meta::any_text;
use super::query::{Endpoint, endpoint};

/// The name of the data member of endpoint properties.
pub const PROPERTIES_MEMBER: &str = "endpoint-properties";
/// The name of the data member of endpoint costs.
pub const COSTS_MEMBER: &str = "endpoint-cost-map";

/// The properties asked for, and the endpoints; neither list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPropertyParams<'a> {
    /// The names of the properties.
    pub properties: Vec<Cow<'a, str>>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint<'a>>,
}

/// Reads the parameters of the endpoint property service.
pub struct ReadEndpointPropertyParams;

impl<'de> Read<'de> for ReadEndpointPropertyParams {
    type Output = EndpointPropertyParams<'de>;
    const WANTED: &'static str = "an object with properties and endpoints";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut properties, mut endpoints) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "properties" => once(walk, map, &mut properties, NonEmpty(ListOf::new(any_text))),
            "endpoints" => once(walk, map, &mut endpoints, NonEmpty(ListOf::new(endpoint))),
            _ => skip(map),
        })?;
        let properties = properties.required(walk, "properties");
        let endpoints = endpoints.required(walk, "endpoints");
        Ok(properties
            .zip(endpoints)
            .map(|(properties, endpoints)| EndpointPropertyParams {
                properties,
                endpoints,
            }))
    }
}

/// Reads an array that must have at least one element.
struct NonEmpty<R>(R);

impl<'de, T, R: Read<'de, Output = Vec<T>>> Read<'de> for NonEmpty<R> {
    type Output = Vec<T>;
    const WANTED: &'static str = "an array";

    fn array<A: serde::de::SeqAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        seq: A,
    ) -> Result<Option<Vec<T>>, A::Error> {
        let before = walk.fault_count();
        let list = self.0.array(walk, seq)?;
        if list.as_ref().is_some_and(Vec::is_empty) && walk.fault_count() == before {
            walk.invalid("[]", "the array is empty; give at least one element");
            return Ok(None);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::error::{AltoError, ErrorCode};
    use crate::alto::json::read;

    fn error(text: &str) -> (ErrorCode, String, String) {
        let faults = read(text.as_bytes(), ReadEndpointPropertyParams).expect_err(text);
        let error = AltoError::from(faults);
        let or_empty = Option::unwrap_or_default;
        (error.code, or_empty(error.field), or_empty(error.value))
    }

    #[test]
    fn both_lists_are_needed_and_neither_may_be_empty() {
        let value = ErrorCode::InvalidFieldValue;
        assert_eq!(
            error("{}"),
            (ErrorCode::MissingField, "properties".into(), String::new())
        );
        assert_eq!(
            error(r#"{"properties":[],"endpoints":["ipv4:192.0.2.1"]}"#),
            (value, "properties".into(), "[]".into())
        );
        assert_eq!(
            error(r#"{"properties":["m.pid"],"endpoints":[]}"#),
            (value, "endpoints".into(), "[]".into())
        );
    }

    #[test]
    fn an_element_of_the_wrong_type_is_an_invalid_value_of_its_array() {
        let value = ErrorCode::InvalidFieldValue;
        assert_eq!(
            error(r#"{"properties":["m.pid"],"endpoints":[12]}"#),
            (value, "endpoints".into(), "12".into())
        );
        assert_eq!(
            error(r#"{"properties":["m.pid"],"endpoints":["ipv4:192.0.2.0/24"]}"#),
            (value, "endpoints".into(), "ipv4:192.0.2.0/24".into())
        );
        assert_eq!(
            error(r#"{"properties":"m.pid","endpoints":["ipv4:192.0.2.1"]}"#),
            (
                ErrorCode::InvalidFieldType,
                "properties".into(),
                String::new()
            )
        );
    }

    #[test]
    fn a_body_that_is_no_object_or_no_json_is_a_syntax_error() {
        for bad in ["", "[]", "7", "nul", "{", "{\"a\":1}}"] {
            assert_eq!(error(bad).0, ErrorCode::Syntax, "{bad:?}");
        }
    }
}
