//! One request to a server, for commands.

use super::tls;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time from the request to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
const MOST_BYTES: usize = 256 << 20;

/// Where a server is, and how to be let in.
#[derive(Clone)]
pub struct Server {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// The token, if it wants one.
    pub token: Option<String>,
    /// The certificates to trust, for `https`.
    pub roots: Option<PathBuf>,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// How it went.
    pub status: StatusCode,
    /// What it said.
    pub text: String,
    /// Its headers.
    pub headers: hyper::HeaderMap,
}

impl Server {
    /// Asks for a path, with its query.
    ///
    /// # Errors
    /// When there is no answer, with what to do.
    pub fn get(&self, path: &str) -> Result<Answered, String> {
        self.ask(Request::get(path), Bytes::new())
    }

    /// Posts bytes; under a key they can be posted again.
    ///
    /// # Errors
    /// As [`Server::get`] has them.
    pub fn post(&self, path: &str, key: Option<&str>, content_type: &str, bytes: &[u8]) -> Result<Answered, String> {
        let mut request = Request::post(path).header(CONTENT_TYPE, content_type);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.ask(request, Bytes::copy_from_slice(bytes))
    }

    fn ask(&self, request: Builder, body: Bytes) -> Result<Answered, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| format!("no thread for the request: {cause}"))?;
        let asked = async { timeout(PATIENCE, self.talk(request, body)).await };
        match runtime.block_on(asked) {
            Ok(answered) => answered.map_err(|cause| format!("{}: {cause}", self.url)),
            Err(_) => Err(format!("{}: no answer within {} s", self.url, PATIENCE.as_secs())),
        }
    }

    async fn talk(&self, request: Builder, body: Bytes) -> Result<Answered, String> {
        let (scheme, rest) = self.url.split_once("://").ok_or("write it as http://127.0.0.1:8741")?;
        let authority = rest.trim_end_matches('/');
        if authority.contains('/') {
            return Err("write it without a path, as http://127.0.0.1:8741".to_string());
        }
        let (secure, port) = match scheme {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(format!("`{scheme}` is not spoken; write http or https")),
        };
        let host = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(host, _)| host);
        let at = if host.is_some() { authority.to_string() } else { format!("{authority}:{port}") };
        let host = host.unwrap_or(authority).trim_matches(['[', ']']);
        let tcp = TcpStream::connect(&at).await.map_err(|cause| format!("{cause}; is `slackwater run` there?"))?;
        if !secure {
            return self.exchange(tcp, authority, (request, body)).await;
        }
        let Some(roots) = &self.roots else {
            return Err("https needs the certificates to trust: name their file in SLACKWATER_CA".to_string());
        };
        self.exchange(tls::connect(tls::client(roots)?, host, tcp).await?, authority, (request, body)).await
    }

    async fn exchange<S>(
        &self,
        stream: S,
        authority: &str,
        (request, body): (Builder, Bytes),
    ) -> Result<Answered, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let said = |cause: hyper::Error| cause.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        let driver = tokio::spawn(connection);
        let mut request = request.header(HOST, authority).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|cause| cause.to_string())?;
        let answer = sender.send_request(request).await.map_err(said)?;
        let (parts, body) = answer.into_parts();
        let body = http_body_util::Limited::new(body, MOST_BYTES);
        let bytes = body.collect().await.map_err(|cause| cause.to_string())?.to_bytes();
        driver.abort();
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "the answer is no text".to_string())?;
        Ok(Answered { status: parts.status, text, headers: parts.headers })
    }
}
