//! Certificates for the in-memory fleet: right in form, signed by nobody.

use std::str::FromStr;
use std::time::Duration;

use x509_cert::certificate::{CertificateInner, TbsCertificateInner, Version};
use x509_cert::der::asn1::{Any, BitString, GeneralizedTime, ObjectIdentifier};
use x509_cert::der::{EncodePem, pem::LineEnding};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::token;
use super::world::Pki;
use crate::model::HostTime;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const YEAR: Duration = Duration::from_hours(365 * 24);

/// A certificate maker without keys.
#[derive(Debug, Clone, Default)]
pub struct PaperPki {
    /// What makes this cluster's CA different from another's.
    pub seed: u64,
}

impl Pki for PaperPki {
    fn make_ca(&mut self, now: HostTime) -> String {
        let subject = format!("CN=k3s-server-ca@{}", now.0 / 1_000_000);
        certificate(&subject, self.seed, now).unwrap_or_default()
    }

    fn node_certificate(&mut self, node: &str, now: HostTime) -> String {
        let subject = format!("O=system:nodes,CN=system:node:{node}");
        certificate(&subject, self.seed, now).unwrap_or_default()
    }
}

fn certificate(subject: &str, seed: u64, now: HostTime) -> Option<String> {
    let algorithm = AlgorithmIdentifierOwned {
        oid: ECDSA_WITH_SHA256,
        parameters: None::<Any>,
    };
    let seed = token::sha256(format!("{subject} {seed}").as_bytes());
    let serial: Vec<u8> = seed.bytes().take(8).collect();
    let bits = BitString::from_bytes(seed.as_bytes()).ok()?;
    let start = Duration::from_micros(u64::try_from(now.0).ok()?);
    let time = |at| {
        GeneralizedTime::from_unix_duration(at)
            .ok()
            .map(Time::GeneralTime)
    };
    let tbs: TbsCertificateInner = TbsCertificateInner {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).ok()?,
        signature: algorithm.clone(),
        issuer: Name::from_str("CN=k3s-client-ca").ok()?,
        validity: Validity {
            not_before: time(start)?,
            not_after: time(start + YEAR)?,
        },
        subject: Name::from_str(subject).ok()?,
        subject_public_key_info: SubjectPublicKeyInfoOwned {
            algorithm: algorithm.clone(),
            subject_public_key: bits.clone(),
        },
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    };
    let whole: CertificateInner = CertificateInner {
        tbs_certificate: tbs,
        signature_algorithm: algorithm,
        signature: bits,
    };
    whole.to_pem(LineEnding::LF).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_cert::Certificate;
    use x509_cert::der::DecodePem;

    #[test]
    fn a_node_certificate_reads_back_with_its_name_and_dates() {
        let now = HostTime(1_795_320_000_000_000);
        let pem = PaperPki::default().node_certificate("agent-1", now);
        let read = Certificate::from_pem(&pem).unwrap();
        let subject = read.tbs_certificate.subject.to_string();
        assert!(subject.contains("CN=system:node:agent-1"), "{subject}");
        assert!(subject.contains("O=system:nodes"), "{subject}");
        let validity = read.tbs_certificate.validity;
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        let days = (seconds(validity.not_after) - seconds(validity.not_before)) / 86_400;
        assert_eq!(days, 365);
    }
}
