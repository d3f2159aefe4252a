//! Reads the few fields of a certificate that are needed here (RFC 5280 §4.1). rustls verifies
//! the certificate.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The object identifier 2.5.4.3 in DER.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// Returns the subject's common name, if it is UTF-8 or ASCII.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let [_, mut names] = validity_and_subject(certificate)?;
    while let Some((_, set, rest)) = element(names) {
        names = rest;
        let Some((SEQUENCE, attribute, _)) = element(set) else {
            continue;
        };
        let Some(value) = attribute.strip_prefix(COMMON_NAME) else {
            continue;
        };
        if let Some((UTF8_STRING | PRINTABLE_STRING, text, _)) = element(value) {
            return String::from_utf8(text.to_vec()).ok();
        }
    }
    None
}

/// Returns the last moment at which the certificate is valid. None if it cannot be read, or is
/// after the year 9999, which means never (RFC 5280 §4.1.2.5).
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let [validity, _] = validity_and_subject(certificate)?;
    let (_, _, rest) = element(validity)?;
    let (kind, text, _) = element(rest)?;
    time(kind, str::from_utf8(text).ok()?)
}

/// Parses `YYMMDDHHMMSSZ` from 1950 on, or `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5).
fn time(kind: u8, text: &str) -> Option<Timestamp> {
    let digits = text
        .strip_suffix('Z')
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let part = |at: usize| rest.get(2 * at..2 * at + 2)?.parse::<i8>().ok();
    let parts = [part(0)?, part(1)?, part(2)?, part(3)?, part(4)?];
    let [month, day, hour, minute, second] = parts;
    let time = Date::new(year, month, day)
        .and_then(|date| Time::new(hour, minute, second, 0).map(|t| date.to_datetime(t)))
        .ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Returns the contents of a certificate's validity and subject.
fn validity_and_subject(certificate: &[u8]) -> Option<[&[u8]; 2]> {
    let (SEQUENCE, certificate, _) = element(certificate)? else {
        return None;
    };
    let (SEQUENCE, mut fields, _) = element(certificate)? else {
        return None;
    };
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // The serial number, signature algorithm and issuer come before.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, validity, rest) = element(fields)? else {
        return None;
    };
    let (SEQUENCE, subject, _) = element(rest)? else {
        return None;
    };
    Some([validity, subject])
}

/// Returns the first DER element of `bytes`: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // No certificate needs more than three octets of length.
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets
                .iter()
                .fold(0, |length, &o| length << 8 | usize::from(o));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls_pki_types::CertificateDer;

    fn certificate(build: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        build(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_common_name_is_read_from_the_subject() {
        let named = certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::OrganizationName, "ISP B");
            name.push(DnType::CommonName, "node.isp-b.example");
        });
        let read = common_name(&named);
        assert_eq!(read.as_deref(), Some("node.isp-b.example"));
    }

    #[test]
    fn a_certificate_without_a_common_name_has_none() {
        let nameless = certificate(|params| params.distinguished_name = Default::default());
        assert_eq!(common_name(&nameless), None);
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, expected) in [
            (1999, Some("1999-02-03T00:00:00Z")),
            (2049, Some("2049-02-03T00:00:00Z")),
            (2050, Some("2050-02-03T00:00:00Z")),
            (2150, Some("2150-02-03T00:00:00Z")),
        ] {
            let dated = certificate(|params| params.not_after = rcgen::date_time_ymd(year, 2, 3));
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(not_after(&dated), expected);
        }
        assert_eq!(
            time(UTC_TIME, "491231235959Z"),
            Some("2049-12-31T23:59:59Z".parse().unwrap())
        );
        for (kind, text) in [
            (UTC_TIME, "4912312359Z"),
            (UTC_TIME, "491331235959Z"),
            (UTC_TIME, "491231235959"),
            (GENERALIZED_TIME, "20491231235959+0100"),
            (GENERALIZED_TIME, "99991231235959Z"),
            (PRINTABLE_STRING, "491231235959Z"),
        ] {
            assert_eq!(time(kind, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_a_certificate_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            cut in any::<proptest::sample::Index>(),
            flip in any::<(proptest::sample::Index, u8)>(),
        ) {
            let read = |bytes: &[u8]| (common_name(bytes), not_after(bytes));
            read(&bytes);
            let mut real = certificate(|_| ()).to_vec();
            let at = flip.0.index(real.len());
            real[at] ^= flip.1;
            read(&real);
            read(&real[..cut.index(real.len())]);
        }
    }
}
