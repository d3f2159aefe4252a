//! Names, labels, prefixes and tags: the vocabulary that all other modules share.
//!
//! A value of these types is always valid, so that code that is given one need not check it
//! again. They are parsed from text; an error says what is wrong and how to mend it.

mod client;
mod digest;
mod hidden;
mod metric;
mod name;
mod prefix;

pub use client::Client;
pub use digest::{Digest, InvalidDigest, Sha256, Tag, from_hex, to_hex};
pub use hidden::Hidden;
pub use metric::{MetricName, ValueCheck};
pub use name::{
    DomainLabel, InterconnectId, NameError, PidName, PropertyName, ResourceId, SourceName,
};
pub use prefix::{Family, PrefixError, TypedAddress, parse_ipv4_prefix, parse_ipv6_prefix};
