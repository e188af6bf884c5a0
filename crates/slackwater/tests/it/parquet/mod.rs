//! Parquet in: the same events give the same rows and verdicts as in other formats, whatever the columns are stored as.

mod alike;
mod broken;
mod columns;
mod rows;

use crate::program::Place;
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

/// A source of one field `v` beside `ts`, whose position is its identity; the first value of each group is given back.
pub fn config(format: &str, ty: &str) -> String {
    format!(
        "[source.trades]\nkind = \"files\"\nformat = \"{format}\"\nidentity = \"position\"\nevent_time = \"ts\"\n\
         [source.trades.fields]\nts = \"timestamp_s\"\nv = \"{ty}\"\n\
         [pipeline.values]\nsql = '''SELECT v, count(*) AS n FROM trades GROUP BY v, tumble(ts, INTERVAL '1 day')'''\n"
    )
}

/// A Parquet file of columns in row groups of at most so many rows.
pub fn file(columns: &[(&str, ArrayRef)], properties: WriterPropertiesBuilder) -> Vec<u8> {
    let nullable = columns.iter().map(|(name, array)| (*name, array.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).expect("a writer");
    writer.write(&batch).expect("memory");
    writer.into_inner().expect("memory")
}

/// The same with what a writer does unasked.
pub fn plain(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    file(columns, WriterProperties::builder())
}

/// Folds a file that cannot be folded; gives what is said of it.
pub fn fails(place: &Place, code: i32) -> String {
    let ran = place.run(&["fold", "-c", "c.toml", "--input", "trades=e.parquet", "--out", "out.ndjson"]);
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{}", ran.err);
    assert!(!place.has("out.ndjson") && ran.err.trim_end().ends_with("no row was written"), "{}", ran.err);
    ran.err
}
