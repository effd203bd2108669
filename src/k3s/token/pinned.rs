//! The CA that a token pins.

use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Encode as _;

use super::hex;

/// The hash that a token pins for this bundle, as K3s computes it: of one certificate the file's bytes, of several the
/// DER of the root that the first leads to. Where no root is found K3s takes the bytes too.
#[must_use]
pub fn pinned_hash(bundle: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bundle);
    match text.matches("-----BEGIN CERTIFICATE-----").count() {
        0 => None,
        1 => Some(hex(&Sha256::digest(bundle))),
        _ => Some(match root(bundle) {
            Some(root) => hex(&Sha256::digest(root)),
            None => hex(&Sha256::digest(bundle)),
        }),
    }
}

/// The root of the first certificate, by names of issuers.
fn root(bundle: &[u8]) -> Option<Vec<u8>> {
    let chain = Certificate::load_pem_chain(bundle).ok()?;
    let mut at = chain.first()?;
    for _ in 0..chain.len() {
        let (issuer, subject) = (&at.tbs_certificate.issuer, &at.tbs_certificate.subject);
        if issuer == subject {
            return at.to_der().ok();
        }
        at = chain
            .iter()
            .find(|other| other.tbs_certificate.subject == *issuer)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_bundle_the_root_is_pinned() {
        let one = include_bytes!("pinned/root.pem");
        let leaf = include_bytes!("pinned/intermediate.pem");
        let bundle = [leaf.as_slice(), one.as_slice()].concat();
        let der = Certificate::load_pem_chain(one).unwrap().remove(0).to_der();
        assert_eq!(pinned_hash(one), Some(hex(&Sha256::digest(one))));
        assert_eq!(
            pinned_hash(&bundle),
            Some(hex(&Sha256::digest(der.unwrap())))
        );
        let twice = [leaf.as_slice(), leaf.as_slice()].concat();
        assert_eq!(pinned_hash(&twice), Some(hex(&Sha256::digest(&twice))));
        assert_eq!(pinned_hash(b"nothing"), None);
    }
}
