//! The unguessable names of streams (RFC 8895 §7.1) and TIPS views.

use aws_lc_rs::rand;

use crate::ident::to_hex;

/// Makes a name that was never used before and that nobody can guess; none if the system has no
/// randomness.
pub fn unguessable() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(to_hex(&bytes))
}
