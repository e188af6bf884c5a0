//! Exact numbers: everything an aggregate adds, multiplies, divides or prints without losing a bit.
//!
//! Sums are kept exactly ([`ExactSum`] for decimals and integers, [`FloatSum`] for floats), so they do not depend on the
//! order of their terms, and a term can be taken back; what is shown is rounded once, at the end, half to even.

pub mod decimal;
mod exact_sum;
mod float;
mod float_sum;
mod int;
mod nat;
mod ratio;
pub mod short;

pub use exact_sum::ExactSum;
pub use float::f64_from_parts;
pub use float_sum::{FloatSum, Specials};
pub use int::{I384, Int};
pub use nat::Nat;
pub use ratio::Ratio;
