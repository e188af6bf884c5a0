//! Every bound of the core in one place: what is larger is refused with a reason, never truncated.

/// Largest event in bytes, as received.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Deepest nesting of a JSON event.
pub const JSON_DEPTH: usize = 64;
/// Most declared fields of one source.
pub const FIELDS: usize = 1024;
/// Most sources of one plan.
pub const SOURCES: usize = 1024;
/// Most pipelines of one plan.
pub const PIPELINES: usize = 1024;
/// Most decimal digits of a declared decimal: what an i128 mantissa holds.
pub const DECIMAL_DIGITS: u8 = 38;
/// Most decimal digits of a row expression: what a 256-bit product holds.
pub const ROW_DIGITS: u8 = 76;
/// Most decimal digits of an expression over aggregates: what a 384-bit sum holds.
pub const WIDE_DIGITS: u8 = 115;
/// Decimal digits that a sum may grow by: no aggregate covers more than 2^63 facts.
pub const SUM_HEADROOM_DIGITS: u8 = 20;
/// Most values of an array that `top_k` gives.
pub const TOP_K: u16 = 1_000;
/// Deepest nesting of an expression in SQL.
pub const EXPR_DEPTH: usize = 64;
/// Most nodes of one expression.
pub const EXPR_NODES: usize = 10_000;
/// Longest SELECT text in bytes.
pub const SQL_BYTES: usize = 64 * 1024;
/// Bytes in one chunk of the in-memory fact log.
pub const FACT_CHUNK: usize = 1 << 20;
/// Facts behind the cut that bars of one key keep, to be cut again without asking for them.
pub const KEPT_FACTS: usize = 4096;
/// Most windows that one fact may be in.
pub const HOP_WINDOWS: i64 = 100_000;
/// Power of ten of the most bars that one fact may fill, where it is cut between them.
pub const SPLIT_POWER: u32 = 4;
/// Power of ten of the most bars that one fact may pass over, where its rest is carried on: their numbers have 64 bits.
pub const CARRY_POWER: u32 = 9;
