//! TLS 1.2 and later by rustls and ring.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Reads certificate and key.
///
/// # Errors
/// What is wrong with either.
pub fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|cause| format!("{}: {cause}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|cause| format!("{} and {}: {cause}", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What to trust as a client: the certificates of a file, and nothing else.
///
/// # Errors
/// When they cannot be read.
pub fn client(roots: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots)? {
        store.add(certificate).map_err(|cause| format!("{}: {cause}", roots.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}

/// Speaks TLS to the server of this name.
///
/// # Errors
/// When it cannot prove its name.
pub async fn connect(trust: Arc<ClientConfig>, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_string()).map_err(|cause| format!("{host}: {cause}"))?;
    TlsConnector::from(trust).connect(name, tcp).await.map_err(|cause| cause.to_string())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |cause: rustls::pki_types::pem::Error| format!("{}: {cause}", path.display());
    let all = CertificateDer::pem_file_iter(path).map_err(named)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(named)?;
    match all.is_empty() {
        true => Err(format!("{}: there is no certificate in it", path.display())),
        false => Ok(all),
    }
}
