//! What other programs see: the embedded interface of a running instance, and the same over HTTP.

mod app;
mod aside;
mod asked;
mod held;
mod hub;
mod intake;
pub mod live;
mod meters;
pub mod openapi;
mod readers;
mod refusal;
pub mod report;
mod rows;
pub mod serve;
mod stream;

pub use app::{ROUTES, Route};
pub use aside::{Which, listed as set_aside, reason, shown, told};
pub use held::{find, listed};
