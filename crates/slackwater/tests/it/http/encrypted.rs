//! TLS: who is served, who is not, and what happens when the certificate is read again.

use super::{Site, config, connect};
use slackwater::connect::http::client::Server;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Certificates and a key that are for tests and nothing else.
fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/http/pems").join(name)
}

const TLS: &str = "[server.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";

fn encrypted() -> Site {
    encrypted_with("")
}

/// The same, with more in its configuration.
fn encrypted_with(more: &str) -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["certificate.pem", "key.pem"] {
        std::fs::copy(pem(name), folder.path().join(name)).expect("a file");
    }
    Site::over(folder, &config(&format!("{TLS}{more}"))).expect("a service")
}

fn client(site: &Site, host: &str, roots: &str) -> Server {
    Server { url: format!("https://{host}:{}", site.at.port()), token: None, roots: Some(pem(roots)) }
}

#[test]
fn what_is_said_over_tls_is_what_is_said_without() {
    let site = encrypted();
    for host in ["localhost", "127.0.0.1"] {
        let answered = client(&site, host, "certificate.pem").get("/v1/pipelines").expect("an answer");
        assert!(answered.status.is_success() && answered.text.contains("minutes"), "{answered:?}");
    }
    // Who does not prove its name is not asked, and who does not speak TLS is not answered.
    let error = client(&site, "localhost", "other.pem").get("/v1/status").expect_err("another certificate");
    assert!(error.contains("certificate") || error.contains("signature"), "{error}");
    let error = client(&site, "localhost", "key.pem").get("/v1/status").expect_err("no certificate");
    assert!(error.contains("no certificate"), "{error}");
    let plain = Server { url: format!("http://{}", site.at), token: None, roots: None };
    plain.get("/v1/status").expect_err("plain text");
    let mut stream = connect(site.at);
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    assert!(!String::from_utf8_lossy(&bytes).contains("HTTP/1.1"), "no answer in plain text");
}

#[test]
fn who_does_not_finish_a_handshake_is_cut_off() {
    let site = encrypted_with("[server.limits]\nheader_timeout = \"300ms\"\n");
    // The beginning of a TLS record, and nothing at all.
    for begun in [&b"\x16\x03\x01"[..], b""] {
        let mut stream = connect(site.at);
        stream.write_all(begun).expect("sent");
        let error = stream.read_to_end(&mut Vec::new()).err().map(|error| error.kind());
        assert!(!matches!(error, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it is still open");
    }
    let answered = client(&site, "localhost", "certificate.pem").get("/health/live").expect("an answer");
    assert!(answered.status.is_success());
}

#[test]
fn a_certificate_is_read_again_or_stays_as_it_was() {
    let site = encrypted();
    let server = site.server.as_ref().expect("a server");
    let asked =
        || client(&site, "localhost", "certificate.pem").get("/health/live").map(|answered| answered.status.as_u16());
    let file = site.folder.path().join("certificate.pem");
    for (broken, what) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate.pem")] {
        std::fs::write(&file, broken).expect("a file");
        let error = server.reload(&config(TLS).server, site.folder.path()).expect_err("broken");
        assert!(error.contains(what), "{error}");
        assert_eq!(asked(), Ok(200));
    }
    // A certificate that its key does not fit is no better.
    std::fs::copy(pem("other.pem"), &file).expect("a file");
    server.reload(&config(TLS).server, site.folder.path()).expect_err("another key");
    assert_eq!(asked(), Ok(200));
    std::fs::copy(pem("certificate.pem"), &file).expect("a file");
    server.reload(&config(TLS).server, site.folder.path()).expect("read again");
    assert_eq!(asked(), Ok(200));
    server.reload(&config("").server, site.folder.path()).expect_err("TLS is not ended while it runs");
}
