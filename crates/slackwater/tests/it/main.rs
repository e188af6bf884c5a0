//! Tests of the program's rooms, through their public faces.

mod cli;
mod config;
mod decode;
mod demo;
mod durable;
mod files;
mod fold;
mod http;
mod lag;
mod live;
mod parquet;
mod program;
mod real;
mod served;
mod sql;
mod syscalls;
