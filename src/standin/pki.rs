//! Certificates that TLS accepts: a CA whose key all servers share, and what it signs.

use std::fs;
use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::shared::Shared;
use crate::model::HostTime;
use crate::sim::world::Pki;

/// Keeps the CA's key in the shared directory.
pub(super) struct SharedPki<'a>(pub(super) &'a Shared);

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
        .distinguished_name
        .push(DnType::CommonName, "k3s-server-ca");
    params
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

impl SharedPki<'_> {
    fn new_ca(&self) -> io::Result<String> {
        let key = KeyPair::generate().map_err(other)?;
        let pem = ca_params().self_signed(&key).map_err(other)?.pem();
        fs::create_dir_all(self.0.0.join("pki"))?;
        fs::write(self.0.0.join("pki/server-ca.key"), key.serialize_pem())?;
        fs::write(self.0.0.join("pki/server-ca.crt"), &pem)?;
        Ok(pem)
    }

    fn sign(&self, params: &CertificateParams) -> io::Result<(String, KeyPair)> {
        let ca = fs::read_to_string(self.0.0.join("pki/server-ca.key"))?;
        let issuer = Issuer::new(ca_params(), KeyPair::from_pem(&ca).map_err(other)?);
        let key = KeyPair::generate().map_err(other)?;
        let signed = params.signed_by(&key, &issuer).map_err(other)?;
        Ok((signed.pem(), key))
    }

    /// What a supervisor shows under these names and addresses.
    ///
    /// # Errors
    /// When the CA's key cannot be used.
    pub(super) fn serving(&self, names: Vec<String>) -> io::Result<Arc<ServerConfig>> {
        let params = CertificateParams::new(names).map_err(other)?;
        let (pem, key) = self.sign(&params)?;
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).map_err(other)?];
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(other)?;
        Ok(Arc::new(config))
    }
}

impl Pki for SharedPki<'_> {
    fn make_ca(&mut self, _now: HostTime) -> String {
        self.new_ca().unwrap_or_default()
    }

    fn node_certificate(&mut self, node: &str, _now: HostTime) -> String {
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "system:nodes");
        name.push(DnType::CommonName, format!("system:node:{node}"));
        self.sign(&params).map(|(pem, _)| pem).unwrap_or_default()
    }
}

/// Trusts one CA.
///
/// # Errors
/// When the text is no certificate.
pub(super) fn trusting(ca: &str) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(other)?;
    roots.add(ca).map_err(other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
