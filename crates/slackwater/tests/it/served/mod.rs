//! The service as a person runs it: the binary, its sockets, and signals.

mod away;
mod doubted;
mod full;
mod handles;
mod holding;
mod killed;
mod link;
pub mod poster;
mod quarantined;
mod resumed;
mod soak;

use crate::durable::CONFIG;
use crate::program::Place;
use serde_json::Value;
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A place with the configuration of a service that does everything often, on a port of its own.
pub fn place() -> (Place, u16) {
    place_of(&CONFIG.replace("kind = \"files\"", "kind = \"http\""))
}

/// The same with other sources and pipelines.
pub fn place_of(config: &str) -> (Place, u16) {
    let port = free_port();
    let often = "[service]\ntick = \"20ms\"\npublish = \"10ms\"\ncheckpoint = \"150ms\"\n";
    let server = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n");
    (Place::with(&format!("{config}\n{often}{server}")), port)
}

/// A service in a process of its own, which ends with the test that started it, however that ends.
pub struct Service(Child);

impl Service {
    /// What a command starts.
    pub fn of(command: &mut Command) -> Service {
        Service(command.spawn().expect("it starts"))
    }
}

impl Deref for Service {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the service here.
pub fn start(place: &Place) -> Service {
    let mut command: Command = place.command(&["run", "-c", "c.toml", "--data", "data"]);
    Service::of(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Waits until it answers; false if it ended instead.
pub fn ready(child: &mut Child, port: u16) -> bool {
    loop {
        if poster::get(port, "/health/ready").is_ok_and(|(status, _)| status == 200) {
            return true;
        }
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The rows of a pipeline as the service shows them, page by page.
pub fn rows(port: u16, pipeline: &str, tier: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/pipelines/{pipeline}/rows?tier={tier}&limit=500{cursor}");
        let (status, body) = poster::get(port, &path).expect("an answer");
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).expect("JSON");
        all.extend(page["rows"].as_array().expect("rows").iter().cloned());
        match page["next"].as_str().or(page["cursor"].as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}
