#!/usr/bin/env python3
"""The work of W1 done by DuckDB or Polars: exact dedup by (venue, id), then one-minute bars in canonical order.

peers.py duckdb|polars THREADS FILE           prints events, wall seconds, CPU seconds, peak MiB
peers.py check duckdb|polars FILE OURS.ndjson compares the bars with rows of `slackwater fold`

Polars computes in float64 where it cannot read decimals from text, so means and sums are compared to 1e-9 of their value.
"""
import json
import os
import resource
import sys
import time

BARS = """
SELECT symbol, ts - ts % 60000000 AS minute, arg_min(price, place) AS open, max(price) AS high, min(price) AS low,
       arg_max(price, place) AS close, sum(size) AS volume, sum(price * size) / sum(size) AS vwap, count(*) AS trades,
       var_pop(price) AS variance
FROM (SELECT *, row(ts, id, venue) AS place FROM (SELECT DISTINCT id, symbol, venue, ts, price, size FROM {source}))
GROUP BY ALL
"""
TYPES = {"id": "UBIGINT", "symbol": "VARCHAR", "venue": "VARCHAR", "ts": "BIGINT", "price": "DECIMAL(18,4)", "size": "DECIMAL(18,4)"}


def duckdb(file, threads):
    import duckdb

    db = duckdb.connect(config={"threads": threads})
    columns = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in TYPES.items()) + "}"
    source = {
        "ndjson": f"read_json('{file}', format = 'newline_delimited', columns = {columns})",
        "csv": f"read_csv('{file}', header = true, columns = {columns})",
        "parquet": f"(SELECT * REPLACE (epoch_us(ts) AS ts) FROM read_parquet('{file}'))",
    }[file.rsplit(".", 1)[1]]
    db.execute(f"CREATE TABLE bars AS {BARS.format(source=source)}")
    events = db.execute("SELECT sum(trades) FROM bars").fetchone()[0]
    return events, lambda: db.execute("SELECT * FROM bars").fetchall()


def polars(file, threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    number = pl.Float64
    schema = {"id": pl.UInt64, "symbol": pl.String, "venue": pl.String, "ts": pl.Int64, "price": number, "size": number}
    ending = file.rsplit(".", 1)[1]
    if ending == "parquet":
        frame = pl.scan_parquet(file).with_columns(pl.col("ts").dt.epoch("us"), pl.col("price", "size").cast(number))
    else:
        frame = pl.scan_ndjson(file, schema=schema) if ending == "ndjson" else pl.scan_csv(file, schema=schema)
    price, size, at = pl.col("price"), pl.col("size"), ["ts", "id", "venue"]
    bars = (
        frame.unique(["venue", "id"])
        .with_columns(minute=pl.col("ts") - pl.col("ts") % 60_000_000)
        .group_by("symbol", "minute")
        .agg(
            price.sort_by(at).first().alias("open"), price.max().alias("high"), price.min().alias("low"),
            price.sort_by(at).last().alias("close"), size.sum().alias("volume"),
            ((price * size).sum() / size.sum()).alias("vwap"), pl.len().alias("trades"),
            price.var(ddof=0).alias("variance"),
        )
        .collect(engine="streaming")
    )
    return bars["trades"].sum(), bars.rows


def check(rows, ours):
    wanted = {}
    for line in open(ours):
        row = json.loads(line)
        start = time.strptime(row["window_start"], "%Y-%m-%dT%H:%M:%SZ")
        wanted[row["symbol"], int(__import__("calendar").timegm(start)) * 1_000_000] = row
    names = ["open", "high", "low", "close", "volume", "vwap", "trades", "variance"]
    wrong = 0
    for symbol, minute, *values in rows:
        row = wanted.pop((symbol, minute), None)
        same = row is not None and all(abs(float(row[n]) - float(v)) <= 1e-9 * max(1.0, abs(float(v))) for n, v in zip(names, values))
        wrong += not same
    print(f"rows that differ {wrong}, rows that are missing {len(wanted)}")
    return wrong + len(wanted)


if __name__ == "__main__":
    if sys.argv[1] == "check":
        rows = globals()[sys.argv[2]](sys.argv[3], 2)[1]()
        sys.exit(min(1, check(rows, sys.argv[4])))
    started = time.perf_counter()
    facts, _ = globals()[sys.argv[1]](sys.argv[3], int(sys.argv[2]))
    wall = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(facts, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
