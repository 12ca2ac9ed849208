"""Writes test/fixtures/tables: one table in the formats that dece reads, and how pyarrow reads it back.

  python3 -m pip install pyarrow && python3 scripts/tables_golden.py

The texts hold quotes, commas, line ends of every kind, and characters of one to four bytes in UTF-8.
"""

import datetime
import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent / "test" / "fixtures" / "tables"
PIECES = ['"', ",", "\n", "\r\n", "\t", " ", "a", "select", "ü", "名", "🙂", "\u2028", "\x85", "'", "\\", "{}"]
ROWS = 40


def table() -> pa.Table:
    draw = random.Random(1)
    text = lambda: "".join(draw.choice(PIECES) for _ in range(draw.randrange(12)))
    day = datetime.datetime(2024, 2, 29, 23, 59, 59, 123000)
    return pa.table(
        {
            "id": pa.array(range(10, 10 + ROWS), pa.int64()),
            "src": [text() for _ in range(ROWS)],
            "tgt": [text() for _ in range(ROWS)],
            "poisoned": [None if i % 3 == 0 else i % 3 == 1 for i in range(ROWS)],
            "large": pa.array([2**53 + 1 + i for i in range(ROWS)], pa.int64()),
            "score": pa.array([None if i % 4 == 0 else i / 4 for i in range(ROWS)], pa.float64()),
            "kind": pa.array([f"kind {i % 3}" for i in range(ROWS)]).dictionary_encode(),
            "when": pa.array([day + datetime.timedelta(hours=i) for i in range(ROWS)], pa.timestamp("ms")),
            "tests": pa.array([[f"t{j}" for j in range(i % 3)] for i in range(ROWS)]),
            "more": pa.array([{"a": i, "b": None if i % 2 else text()} for i in range(ROWS)]),
        }
    )


def expected(rows: list[dict]) -> list[dict]:
    """Whole numbers that JSON readers would round become text, dates ISO 8601 in UTC."""
    for row in rows:
        row["id"] = str(row["id"])
        row["large"] = str(row["large"])
        row["when"] = row["when"].isoformat(timespec="milliseconds") + "Z"
    return rows


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    whole = table()
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        options = {"version": "1.0"} if codec == "gzip" else {}
        pq.write_table(whole, FOLDER / f"{codec}.parquet", compression=codec, row_group_size=16, **options)
    nothing = pa.table({"src": ["a", "b"], "tgt": ["c", "d"], "note": pa.nulls(2)})
    pq.write_table(nothing, FOLDER / "nothing.parquet", compression="lz4")
    (FOLDER / "packed.parquet.gz").write_bytes(gzip.compress((FOLDER / "none.parquet").read_bytes(), mtime=0))
    rows = expected(pq.read_table(FOLDER / "zstd.parquet").to_pylist())
    (FOLDER / "tables.json").write_text(json.dumps(rows, ensure_ascii=True) + "\n")

    texts = whole.select(["id", "src", "tgt"])
    pa.csv.write_csv(texts, FOLDER / "texts.csv")
    (FOLDER / "texts.csv.gz").write_bytes(gzip.compress((FOLDER / "texts.csv").read_bytes(), mtime=0))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in texts.to_pylist())
    (FOLDER / "texts.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))

    labelled = pa.table({"func": ["int f ( ) { }", "名"], "target": pa.array([1, 0], pa.int8()), "project": ["a", "b"]})
    pq.write_table(labelled, FOLDER / "labelled.parquet")
    latin = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    pq.write_table(pa.table({"src": latin, "tgt": ["x"]}), FOLDER / "latin.parquet", compression="none")


if __name__ == "__main__":
    main()
