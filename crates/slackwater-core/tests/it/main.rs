mod number;
mod time;
