//! Patches: the differences between one version of an answer and another.

use proptest::collection::vec;
use proptest::prelude::*;

use super::fuzz::targets;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("ALTOFED_HEAVY").is_some() { 4_000 } else { 500 }
    ))]

    #[test]
    fn a_delta_equals_a_rebuild(view in vec(any::<u8>(), 120), edits in vec(any::<u8>(), 0..24)) {
        targets::run("delta", &[view, edits].concat());
    }
}
