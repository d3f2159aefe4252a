//! Canonical JSON numbers: one spelling for each value, that of RFC 8785 §3.2.2.3, which is
//! ECMAScript's `Number::toString` (ECMA-262 §6.1.6.1.20).

/// From here on (2^53) an `f64` cannot represent every integer.
const INTEGERS: u64 = 1 << 53;

/// zmij writes exponents below this; ECMAScript only does so below 10^-6.
const DECIMALS: f64 = 1e-5;

/// Appends the canonical JSON number of `value` to `out`: the shortest digits that read back as the
/// same `f64`, and `0` for negative zero.
///
/// NaN and the infinities have no JSON number: then it appends nothing and returns `false`.
#[must_use = "a value that is not finite was not written"]
pub fn write_number(out: &mut Vec<u8>, value: f64) -> bool {
    // Most costs are integers or have a few decimals: they have faster paths.
    let integer = value as i64;
    if integer as f64 == value && integer.unsigned_abs() < INTEGERS {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if (DECIMALS..INTEGERS as f64).contains(&value.abs()) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    } else {
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        assert!(write_number(&mut out, value));
        String::from_utf8(out).unwrap()
    }

    fn ecmascript(value: f64) -> String {
        ryu_js::Buffer::new().format_finite(value).to_owned()
    }

    #[test]
    fn a_number_is_spelled_as_in_rfc_8785_appendix_b() {
        for (bits, text) in [
            (0x0000000000000000, "0"),
            (0x8000000000000000, "0"),
            (0x0000000000000001, "5e-324"),
            (0x8000000000000001, "-5e-324"),
            (0x7fefffffffffffff, "1.7976931348623157e+308"),
            (0xffefffffffffffff, "-1.7976931348623157e+308"),
            (0x4340000000000000, "9007199254740992"),
            (0xc340000000000000, "-9007199254740992"),
            (0x4430000000000000, "295147905179352830000"),
            (0x44b52d02c7e14af5, "9.999999999999997e+22"),
            (0x44b52d02c7e14af6, "1e+23"),
            (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
            (0x444b1ae4d6e2ef4e, "999999999999999700000"),
            (0x444b1ae4d6e2ef4f, "999999999999999900000"),
            (0x444b1ae4d6e2ef50, "1e+21"),
            (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
            (0x3eb0c6f7a0b5ed8d, "0.000001"),
            (0x41b3de4355555553, "333333333.3333332"),
            (0x41b3de4355555554, "333333333.33333325"),
            (0x41b3de4355555555, "333333333.3333333"),
            (0x41b3de4355555556, "333333333.3333334"),
            (0x41b3de4355555557, "333333333.33333343"),
            (0xbecbf647612f3696, "-0.0000033333333333333333"),
            (0x43143ff3c1cb0959, "1424953923781206.2"),
        ] {
            assert_eq!(number(f64::from_bits(bits)), text);
        }
    }

    #[test]
    fn every_border_between_two_ways_to_spell_is_ecmascripts() {
        let borders = [
            5e-324,
            f64::MIN_POSITIVE,
            1e-7,
            1e-6,
            9.999e-6,
            1e-5,
            1e-4,
            0.1,
            0.125,
            1.0,
            10.0,
            255.5,
            1e15,
            (1_u64 << 52) as f64,
            1e16,
            (1_u64 << 53) as f64,
            (1_u64 << 63) as f64,
            (1_u128 << 64) as f64,
            1e20,
            1e21,
            f64::MAX,
        ];
        for border in borders {
            for value in [border.next_down(), border, border.next_up()] {
                if value.is_finite() && value != 0.0 {
                    assert_eq!(number(value), ecmascript(value));
                    assert_eq!(number(-value), ecmascript(-value));
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_refused_and_leaves_the_output_alone() {
        for value in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut out = b"[".to_vec();
            assert!(!write_number(&mut out, value));
            assert_eq!(out, b"[");
        }
    }

    #[test]
    fn a_number_is_appended() {
        let mut out = b"[".to_vec();
        assert!(write_number(&mut out, 12.5));
        assert_eq!(out, b"[12.5");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_bit_pattern_is_spelled_as_in_ecmascript(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(number(value), ecmascript(value));
        }

        #[test]
        fn a_value_of_any_size_is_spelled_as_in_ecmascript(
            mantissa in -1.0..1.0_f64,
            exponent in -30..80_i32,
        ) {
            let value = mantissa * 2_f64.powi(exponent);
            prop_assert_eq!(number(value), ecmascript(value));
        }

        #[test]
        fn a_decimal_is_spelled_as_in_ecmascript(digits: i64, shift in 0..18_i32) {
            let value = digits as f64 / 10_f64.powi(shift);
            prop_assert_eq!(number(value), ecmascript(value));
        }

        #[test]
        fn an_integer_is_spelled_as_in_ecmascript(integer in -(1_i64 << 54)..1 << 54) {
            let value = integer as f64;
            prop_assert_eq!(number(value), ecmascript(value));
        }
    }
}
