//! Compact JSON Web Signatures (RFC 7515) with Ed25519 (RFC 8037), as far as
//! manifests need them: one algorithm, one form.
//!
//! What a general reader would accept is refused: unknown header members, and with them `crit`
//! and `b64`; any other `alg`; base64url that is not canonical.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::key::{PublicKey, SigningKey};

/// The `typ` of the header. It tells a manifest from anything else that the same key signs (RFC
/// 8725 §3.11).
const TYPE: &str = "altofed-manifest";

const ALGORITHM: &str = "EdDSA";

/// A signed text that is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compact {
    kid: String,
    payload: Vec<u8>,
    /// The signed part of the text: the header, a dot, and the payload, as sent.
    signed: String,
    signature: Vec<u8>,
}

/// Why a text is not a signed manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// It does not have three parts.
    #[error("it is not of the form header.payload.signature")]
    Form,
    /// A part is not base64url, or not in canonical form.
    #[error("its {0} is not canonical base64url without padding")]
    Encoding(&'static str),
    /// The header cannot be read or has unknown members.
    #[error("its header is not {{\"alg\",\"kid\",\"typ\"}}: {0}")]
    Header(String),
    /// The header names another algorithm.
    #[error("its algorithm is {0:?}, not EdDSA")]
    Algorithm(String),
    /// The header names another type.
    #[error("it is a {0:?}, not a manifest")]
    Type(String),
    /// The signature is not by the key.
    #[error("its signature was not made with the key {kid}")]
    Signature {
        /// The key that the header names.
        kid: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl Compact {
    /// Signs a payload and returns the text.
    pub fn sign(key: &SigningKey, payload: &[u8]) -> String {
        let header = Header {
            alg: ALGORITHM.to_owned(),
            kid: key.public().kid(),
            typ: TYPE.to_owned(),
        };
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut text = URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = key.sign(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        text
    }

    /// Takes a text apart without verifying it.
    ///
    /// # Errors
    /// It is not a signed manifest.
    pub fn parse(text: &str) -> Result<Self, JwsError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Form)?;
        if payload.contains('.') {
            return Err(JwsError::Form);
        }
        let decode = |what, text: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(text);
            decoded.map_err(|_| JwsError::Encoding(what))
        };
        let header = decode("header", header)?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| JwsError::Header(error.to_string()))?;
        if header.alg != ALGORITHM {
            return Err(JwsError::Algorithm(header.alg));
        }
        if header.typ != TYPE {
            return Err(JwsError::Type(header.typ));
        }
        Ok(Self {
            kid: header.kid,
            payload: decode("payload", payload)?,
            signature: decode("signature", signature)?,
            signed: signed.to_owned(),
        })
    }

    /// Returns the thumbprint of the key that the header names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the payload, whoever wrote it: the signature is not verified.
    pub fn unverified(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the payload, if the key signed it.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, key: &PublicKey) -> Result<&[u8], JwsError> {
        if self.kid == key.kid() && key.has_signed(self.signed.as_bytes(), &self.signature) {
            Ok(&self.payload)
        } else {
            Err(JwsError::Signature {
                kid: self.kid.clone(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate().expect("randomness")
    }

    /// Returns a signed text with this header.
    fn with_header(key: &SigningKey, header: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(header.replace("KID", &key.public().kid()));
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode("{}"));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn what_a_key_signed_verifies_under_it_alone() {
        let (key, other) = (key(), key());
        let text = Compact::sign(&key, b"payload");
        let compact = Compact::parse(&text).expect("sound");
        assert_eq!(compact.kid(), key.public().kid());
        assert_eq!(compact.verify(key.public()), Ok(&b"payload"[..]));
        assert!(matches!(
            compact.verify(other.public()),
            Err(JwsError::Signature { .. })
        ));
    }

    #[test]
    fn no_character_can_be_changed() {
        let key = key();
        let text = Compact::sign(&key, b"{\"serial\":1}");
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            let verified = Compact::parse(&changed).and_then(|compact| {
                let payload = compact.verify(key.public())?;
                Ok(payload.to_vec())
            });
            assert!(verified.is_err(), "character {at}");
        }
    }

    #[test]
    fn a_header_with_other_members_or_values_is_refused() {
        let key = key();
        let verify = |header: &str| {
            let text = with_header(&key, header);
            Compact::parse(&text).and_then(|compact| {
                let payload = compact.verify(key.public())?;
                Ok(payload.to_vec())
            })
        };
        assert!(verify(r#"{"typ":"altofed-manifest","kid":"KID","alg":"EdDSA"}"#).is_ok());
        for wrong in [
            r#"{"alg":"EdDSA","kid":"KID","typ":"altofed-manifest","crit":["b64"],"b64":false}"#,
            r#"{"alg":"EdDSA","kid":"KID","typ":"altofed-manifest","jwk":{}}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA","kid":"KID","typ":"altofed-manifest"}"#,
            r#"{"alg":"EdDSA","kid":"KID"}"#,
            r#"{"alg":"EdDSA","typ":"altofed-manifest"}"#,
            r#"{"alg":"EdDSA","kid":"KID","typ":"altofed-manifest"} x"#,
            "[]",
            "",
        ] {
            assert!(matches!(verify(wrong), Err(JwsError::Header(_))), "{wrong}");
        }
        for algorithm in ["none", "HS256", "ES256", "eddsa", "Ed25519"] {
            let header = format!(r#"{{"alg":"{algorithm}","kid":"KID","typ":"altofed-manifest"}}"#);
            assert!(
                matches!(verify(&header), Err(JwsError::Algorithm(_))),
                "{algorithm}"
            );
        }
        let other = r#"{"alg":"EdDSA","kid":"KID","typ":"JWT"}"#;
        assert!(matches!(verify(other), Err(JwsError::Type(_))));
    }

    #[test]
    fn only_the_one_way_to_write_it_is_read() {
        let text = Compact::sign(&key(), b"pay");
        assert!(Compact::parse(&text).is_ok());
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!("three parts")
        };
        // A signature of 64 bytes leaves four bits unused in its last character.
        let mut loose = signature.to_owned();
        let last = loose.pop().expect("a character");
        loose.push((last as u8 + 1) as char);
        for wrong in [
            format!("{text}."),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}="),
            format!("{header}.{payload}"),
            format!("{header}.{payload}.{payload}.{signature}"),
            format!("{header}.{payload}.{loose}"),
            format!("{header}.{payload}+.{signature}"),
            ".".to_owned(),
            String::new(),
        ] {
            assert!(Compact::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
