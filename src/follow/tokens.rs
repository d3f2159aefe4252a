//! The unguessable names by which streams and TIPS views are known (RFC 8895
//! §7.1).

use aws_lc_rs::rand;

use crate::ident::to_hex;

/// A name that was never given before and that nobody can guess; none if the
/// system has no randomness.
pub fn unguessable() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(to_hex(&bytes))
}
