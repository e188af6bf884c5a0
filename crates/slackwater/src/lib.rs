//! What is done: the library, and the one binary that stands on it.
//!
//! Data flows one way: `connect` brings bytes, `decode` turns them into rows, `runtime` drives the core over them, and
//! `connect` takes the rows out. `face` is what a person sees; `demo` shows it at work.
//!
//! ```
//! use slackwater::connect::files::input::{FileChunks, InputError};
//! use slackwater::connect::files::render;
//! use slackwater::face::config;
//! use slackwater::runtime::engine::{self, Arrangement};
//! use slackwater::runtime::gauge::Gauge;
//!
//! let config = config::load(
//!     r#"
//!     [source.trades]
//!     kind = "files"
//!     format = "json"
//!     identity = "id"
//!     event_time = "ts"
//!     [source.trades.fields]
//!     id = "u64"
//!     ts = "timestamp_s"
//!     price = "decimal(18,2)"
//!     [pipeline.bars]
//!     sql = "SELECT avg(price) AS mean, count(*) AS trades FROM trades GROUP BY tumble(ts, INTERVAL '1 minute')"
//!     "#,
//!     "example.toml",
//! )
//! .expect("a sound configuration");
//!
//! // The second event comes twice, and before the first; it counts once.
//! let events = br#"{"id": 2, "ts": 59, "price": 0.20}
//! {"id": 1, "ts": 0, "price": 0.10}
//! {"id": 2, "ts": 59, "price": 0.20}
//! "#;
//! let (plan, format) = (&config.plan, config.sources[0].format);
//! let feed = FileChunks::from_reader(0, format, "events", &plan.sources[0].schema, &events[..], 1 << 18)?;
//! let one_thread = Arrangement::of_threads(1);
//! let folded = engine::fold(plan, &[format], vec![feed], one_thread, &Gauge::default(), |_| Ok::<_, InputError>(()))?;
//!
//! let mut row = String::new();
//! render::ndjson(plan, &folded.finals[0], &mut row);
//! assert!(row.contains(r#""mean":0.15,"trades":2"#));
//! # Ok::<(), InputError>(())
//! ```

pub mod connect;
pub mod decode;
pub mod demo;
pub mod face;
pub mod runtime;
pub mod sql;
