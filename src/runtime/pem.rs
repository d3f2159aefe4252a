//! Says what is wrong with a PEM file.

use rustls_pki_types::pem::Error;

/// Describes what is wrong with a PEM file, for people. Unlike the library's own messages it
/// never shows content of the file, which may be a private key.
pub fn fault(error: &Error) -> String {
    let words = match error {
        Error::MissingSectionEnd { .. } => {
            "a section has no END line of its own, as in a file that lost its line breaks"
        }
        Error::IllegalSectionStart { .. } => {
            "a BEGIN line does not end after five dashes, as in a file that lost its line breaks"
        }
        Error::Base64Decode(_) => "the text between BEGIN and END is not base64",
        Error::Io(error) => return error.to_string(),
        Error::NoItemsFound => "it has no section of the kind that is wanted",
        Error::SectionTooLarge => "a section is too long",
        // The library may add more errors.
        _ => "it cannot be read as PEM",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_damaged_file_is_told_of_without_what_it_holds() {
        let secret = "qxzkvjw0123456789qxz";
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        let whole = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
        for damaged in [
            whole.replace('\n', ""),
            whole.replace('\n', "\\n"),
            whole.replace("-----END", ""),
            whole.replace(secret, &format!("{secret}!")),
            whole.replace("PRIVATE KEY", secret),
            secret.to_owned(),
        ] {
            let error = PrivateKeyDer::from_pem_slice(damaged.as_bytes()).expect_err(&damaged);
            let words = fault(&error);
            assert!(!words.contains(secret) && !words.contains(bytes), "{words}");
        }
    }
}
