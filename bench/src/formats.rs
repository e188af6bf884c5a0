//! W1 as a file of each format.

use crate::generate::{Delivery, generate};
use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Trades that go to the Parquet writer at once.
const BATCH: usize = 8192;

/// Writes so many trades as `ndjson`, `csv` or `parquet`.
pub fn write(format: &str, trades: u64, path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    match format {
        "parquet" => columns(trades, file),
        "csv" => {
            let mut out = BufWriter::new(file);
            writeln!(out, "id,symbol,venue,ts,price,size")?;
            generate(trades, |trade| {
                let Delivery { id, ts, symbol, origin, .. } = trade;
                writeln!(out, "{id},S{symbol:04},V{origin},{ts},{},{}", Units(trade.price), Units(trade.size))
            })?;
            out.flush()
        }
        "ndjson" => {
            let mut out = BufWriter::new(file);
            generate(trades, |trade| {
                let Delivery { id, ts, symbol, origin, .. } = trade;
                let (price, size) = (Units(trade.price), Units(trade.size));
                writeln!(
                    out,
                    "{{\"id\":{id},\"symbol\":\"S{symbol:04}\",\"venue\":\"V{origin}\",\"ts\":{ts},\"price\":{price},\"size\":{size}}}"
                )
            })?;
            out.flush()
        }
        other => Err(io::Error::other(format!("--format {other}: write ndjson, csv or parquet"))),
    }
}

/// Ten-thousandths as a decimal.
struct Units(u32);

impl std::fmt::Display for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

fn columns(trades: u64, file: File) -> io::Result<()> {
    let mut waiting: Vec<Delivery> = Vec::with_capacity(BATCH);
    let packing = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(packing).build();
    let mut writer = ArrowWriter::try_new(file, batch(&[])?.schema(), Some(properties)).map_err(io::Error::other)?;
    generate(trades, |trade| {
        waiting.push(*trade);
        if waiting.len() == BATCH {
            writer.write(&batch(&waiting)?).map_err(io::Error::other)?;
            waiting.clear();
        }
        Ok(())
    })?;
    writer.write(&batch(&waiting)?).map_err(io::Error::other)?;
    writer.close().map_err(io::Error::other).map(drop)
}

fn batch(trades: &[Delivery]) -> io::Result<RecordBatch> {
    let decimal = |of: fn(&Delivery) -> u32| -> io::Result<ArrayRef> {
        let values = Decimal128Array::from_iter_values(trades.iter().map(|trade| of(trade).into()));
        Ok(Arc::new(values.with_precision_and_scale(18, 4).map_err(io::Error::other)?))
    };
    let text =
        |of: fn(&Delivery) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(trades.iter().map(of))) };
    let times = TimestampMicrosecondArray::from_iter_values(trades.iter().map(|trade| trade.ts as i64));
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(UInt64Array::from_iter_values(trades.iter().map(|trade| trade.id)))),
        ("symbol", text(|trade| format!("S{:04}", trade.symbol))),
        ("venue", text(|trade| format!("V{}", trade.origin))),
        ("ts", Arc::new(times.with_timezone("UTC"))),
        ("price", decimal(|trade| trade.price)?),
        ("size", decimal(|trade| trade.size)?),
    ];
    RecordBatch::try_from_iter(columns).map_err(io::Error::other)
}
