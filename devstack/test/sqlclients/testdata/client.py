"""What an analyst does with clickhouse-connect and its defaults."""

import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


port = int(sys.argv[1])
client = clickhouse_connect.get_client(host="127.0.0.1", port=port)
check("select", client.query("SELECT 1, 'a'").result_rows, [(1, "a")])
check("bound", client.query("SELECT {a:Int32} + 1, {s:String}", parameters={"a": 1, "s": "x'y\\z\n"}).result_rows, [(2, "x'y\\z\n")])
check("setting of a query", client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).result_rows, [(3,)])
client.command("SET max_threads = 2")
check("setting of the session", client.query("SELECT getSetting('max_threads')").result_rows, [(2,)])
client.command("CREATE TABLE py (a Int64, s LowCardinality(String), t DateTime64(3, 'UTC'), m Map(String, String), n Nullable(Float64), l Array(String)) ENGINE = MergeTree ORDER BY a")
at = datetime.datetime(2026, 1, 2, 3, 4, 5)
rows = [(1, "x", at, {"a": "b"}, None, ["q"]), (2, "y", at, {}, 1.5, [])]
check("rows written", client.insert("py", rows).written_rows, 2)
got = [(a, s, t.replace(tzinfo=None), m, n, l) for a, s, t, m, n, l in client.query("SELECT * FROM py ORDER BY a").result_rows]
check("rows read", got, rows)
check("count", client.command("SELECT count() FROM py"), 2)
check("raw", client.raw_query("SELECT 1 FORMAT CSV"), b"1\n")
with client.query_row_block_stream("SELECT number FROM numbers(200000)") as stream:
    check("stream", sum(len(block) for block in stream), 200000)
for method in ("lz4", "zstd", "gzip", False):
    with clickhouse_connect.get_client(host="127.0.0.1", port=port, compress=method) as other:
        check(f"compress={method}", other.query("SELECT number FROM numbers(100000)").row_count, 100000)
        other.insert("py", [[i, "z" * 100] for i in range(1000)], column_names=["a", "s"])
check("count after inserts", client.command("SELECT count() FROM py"), 4002)
with clickhouse_connect.get_client(host="127.0.0.1", port=port, username="reader") as reader:
    check("reader", reader.query("SELECT count() FROM py").result_rows, [(4002,)])
    try:
        reader.command("DROP TABLE py")
        sys.exit("the reader may drop a table")
    except DatabaseError:
        pass
try:
    client.query("SELECT nosuch")
    sys.exit("an unknown column is no error")
except DatabaseError as e:
    check("error", "UNKNOWN_IDENTIFIER" in str(e), True)
client.command("DROP TABLE py")
print("ok")
