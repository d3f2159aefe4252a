//! ALTO errors, RFC 7285 §8.5.2.

use serde::{Deserialize, Serialize};

use super::json::{Fault, FaultKind, Faults, Step};

/// The error codes of RFC 7285 §14.3's registry that a request can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The body is not parseable JSON.
    #[serde(rename = "E_SYNTAX")]
    Syntax,
    /// A required member is absent.
    #[serde(rename = "E_MISSING_FIELD")]
    MissingField,
    /// A member has the wrong JSON type.
    #[serde(rename = "E_INVALID_FIELD_TYPE")]
    InvalidFieldType,
    /// A member has the right type and a wrong value.
    #[serde(rename = "E_INVALID_FIELD_VALUE")]
    InvalidFieldValue,
}

/// An ALTO error: exactly one fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AltoError {
    /// What kind of fault it is.
    pub code: ErrorCode,
    /// The full path of the member, joined with `/`; an element of an array is reported as its
    /// array.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// Where and why the text could not be parsed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub syntax_error: Option<String>,
    /// The wrong value as a string; never without `field`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
}

/// The document that carries an error: `{"meta": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// The error.
    pub meta: AltoError,
}

impl AltoError {
    /// Makes the error for a member with a wrong value.
    pub fn invalid_value(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::InvalidFieldValue,
            field: Some(field.into()),
            syntax_error: None,
            value: Some(value.into()),
        }
    }

    /// Makes the error for a member of the wrong JSON type.
    pub fn invalid_type(field: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::InvalidFieldType,
            field: Some(field.into()),
            syntax_error: None,
            value: None,
        }
    }

    /// Makes the error for a required member that is absent.
    pub fn missing_field(field: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::MissingField,
            field: Some(field.into()),
            syntax_error: None,
            value: None,
        }
    }

    /// Makes the error for a body that is not a request at all.
    pub fn syntax(why: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::Syntax,
            field: None,
            syntax_error: Some(why.into()),
            value: None,
        }
    }

    /// Returns the error as a response body.
    pub fn body(&self) -> Vec<u8> {
        let document = ErrorDocument { meta: self.clone() };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl From<&Fault> for AltoError {
    fn from(fault: &Fault) -> Self {
        let members: Vec<&str> = fault
            .path
            .iter()
            .filter_map(|step| match step {
                Step::Member(name) => Some(name.as_ref()),
                Step::Element(_) => None,
            })
            .collect();
        let in_array = matches!(fault.path.last(), Some(Step::Element(_)));
        let field = members.join("/");
        match &fault.kind {
            FaultKind::Syntax => Self::syntax(fault.to_string()),
            // RFC 7285 §8.5.2 does not say which error a body is that is not an object. It
            // cannot be parsed as a request, so it is a syntax error.
            FaultKind::Type(_) if fault.path.is_empty() => Self::syntax(fault.detail.clone()),
            FaultKind::Missing => Self::missing_field(field),
            // "If one element of an array has the wrong type, it is an invalid
            // value of the array" (§8.5.2).
            FaultKind::Type(found) if in_array => Self::invalid_value(field, found.clone()),
            FaultKind::Type(_) => Self::invalid_type(field),
            FaultKind::Value(value) => Self {
                code: ErrorCode::InvalidFieldValue,
                field: Some(field),
                syntax_error: None,
                value: value.clone(),
            },
            FaultKind::Limit => Self {
                code: ErrorCode::InvalidFieldValue,
                field: Some(field),
                syntax_error: None,
                value: None,
            },
        }
    }
}

/// Exactly one of several faults is reported (RFC 7285 §8.5.2): that the text is not JSON, if
/// so; otherwise the first.
impl From<Faults> for AltoError {
    fn from(faults: Faults) -> Self {
        let syntax = |fault: &&Fault| fault.kind == FaultKind::Syntax;
        let listed = faults.listed();
        match listed.iter().find(syntax).or(listed.first()) {
            Some(fault) => fault.into(),
            None => Self::syntax("the request could not be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_error_are_in_canonical_order() {
        let error = AltoError::invalid_value("cost-type/cost-mode", "fuzzy");
        assert_eq!(
            String::from_utf8(error.body()).expect("text"),
            r#"{"meta":{"code":"E_INVALID_FIELD_VALUE","field":"cost-type/cost-mode","value":"fuzzy"}}"#
        );
    }
}
