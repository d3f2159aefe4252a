//! Names, labels, prefixes and tags: the vocabulary every floor above shares.
//!
//! Each type holds only values that are valid for it, so that whoever is given
//! one need not check it again. They parse from text and say, when they refuse,
//! what was wrong and how to mend it.

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
