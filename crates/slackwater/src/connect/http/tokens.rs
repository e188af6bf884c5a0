//! Tokens: who may do what. Only their hashes are held, and all of them are compared whatever is presented.

use std::fmt;
use std::path::Path;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To hand events in.
    Ingest,
    /// To read.
    Read,
    /// To read, and to replay: no route replays yet, so it is what [`Role::Read`] is.
    Replay,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, by their words.
    pub const ALL: [(&str, Role); 4] =
        [("ingest", Role::Ingest), ("read", Role::Read), ("replay", Role::Replay), ("admin", Role::Admin)];
}

/// What a route asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    Open,
    /// To hand events in.
    Ingest,
    /// To read.
    Read,
    /// To change how the service works.
    Admin,
}

impl Policy {
    /// Whether a role may call it.
    pub fn admits(self, role: Role) -> bool {
        match self {
            Policy::Open => true,
            Policy::Ingest => matches!(role, Role::Ingest | Role::Admin),
            Policy::Read => matches!(role, Role::Read | Role::Replay | Role::Admin),
            Policy::Admin => role == Role::Admin,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Open => "none",
            Policy::Ingest => "ingest",
            Policy::Read => "read",
            Policy::Admin => "admin",
        }
    }
}

/// Shortest token: 256 bits as Base64 has them.
pub const SHORTEST: usize = 43;

/// How a token is known. Equality of [`blake3::Hash`] takes the same time for all hashes.
#[derive(Clone, Copy)]
enum Known {
    Sha256(blake3::Hash),
    Blake3(blake3::Hash),
}

/// A token that is live.
#[derive(Clone)]
pub struct Token {
    name: String,
    role: Role,
    sources: Option<Vec<u16>>,
    known: Known,
}

impl Token {
    /// A token of which the SHA-256 is known.
    pub fn of_sha256(name: &str, role: Role, sources: Option<Vec<u16>>, hash: [u8; 32]) -> Token {
        Token { name: name.to_string(), role, sources, known: Known::Sha256(hash.into()) }
    }

    /// A token of which the BLAKE3 is known.
    pub fn of_blake3(name: &str, role: Role, sources: Option<Vec<u16>>, hash: [u8; 32]) -> Token {
        Token { name: name.to_string(), role, sources, known: Known::Blake3(hash.into()) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// The BLAKE3 of the token that an environment variable has.
///
/// # Errors
/// What is wrong with it, without saying what it is.
pub fn from_env(name: &str) -> Result<[u8; 32], String> {
    let text = std::env::var(name).map_err(|_| format!("the environment variable {name} is not set, or is no text"))?;
    hash_of(&text).map_err(|what| format!("the environment variable {name} {what}"))
}

/// The BLAKE3 of the token that a file has.
///
/// # Errors
/// What is wrong with it, without saying what it is.
pub fn from_file(path: &Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    hash_of(&text).map_err(|what| format!("{} {what}", path.display()))
}

fn hash_of(text: &str) -> Result<[u8; 32], String> {
    let token = text.trim_end_matches(['\r', '\n']);
    let sound = token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    match sound {
        true => Ok(*blake3::hash(token.as_bytes()).as_bytes()),
        false => {
            Err(format!("has no token of at least {SHORTEST} printable characters; `openssl rand -hex 32` makes one"))
        }
    }
}

/// 64 hexadecimal digits as bytes.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

/// Whoever calls, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of its token; empty where there are no tokens.
    pub name: String,
    role: Role,
    sources: Option<Vec<u16>>,
}

impl Caller {
    /// Whoever asks for what is open to all.
    pub fn nobody() -> Caller {
        Caller { name: String::new(), role: Role::Read, sources: Some(Vec::new()) }
    }

    /// Whether it may do so.
    pub fn may(&self, policy: Policy) -> bool {
        policy.admits(self.role)
    }

    /// Whether a source, and what is made of it, is its business.
    pub fn sees(&self, source: u16) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(&source))
    }

    /// Whether all sources are.
    pub fn sees_all(&self) -> bool {
        self.sources.is_none()
    }
}

/// All tokens that are live.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    live: Vec<Token>,
}

impl Tokens {
    /// These tokens; without any, whoever calls may do everything.
    pub fn new(live: Vec<Token>) -> Tokens {
        Tokens { live }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Who presents this `Authorization`; none for a token that is not live. The time that it takes does not depend on
    /// how much of a token is right.
    pub fn caller(&self, authorization: Option<&[u8]>) -> Option<Caller> {
        if self.live.is_empty() {
            return Some(Caller { name: String::new(), role: Role::Admin, sources: None });
        }
        let (scheme, token) = authorization?.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token).as_ref());
        let (sha256, blake3) = (blake3::Hash::from(sha256), blake3::hash(token));
        let mut found = None;
        for one in &self.live {
            let same = match one.known {
                Known::Sha256(hash) => hash == sha256,
                Known::Blake3(hash) => hash == blake3,
            };
            if same {
                found = Some(one);
            }
        }
        found.map(|one| Caller { name: one.name.clone(), role: one.role, sources: one.sources.clone() })
    }
}
