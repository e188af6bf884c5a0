//! What ticks must give: rows, generations and causes, and how far the past is settled.

pub mod held;
pub mod reference;
pub mod watermark;
