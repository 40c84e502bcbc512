// Package clickhouse speaks ClickHouse's HTTP interface, which one server, a
// cluster, ClickHouse Cloud and the embedded engine all have: queries and
// statements through clickhouse-go, inserts of Native blocks that are encoded
// and checked here before a byte leaves, and numbered migrations.
//
// Insert returns nil only when the server has stored the whole block; every
// error carries its fate. Inserts say all settings they depend on, because the
// servers' defaults for asynchronous inserts and deduplication changed several
// times. The package knows no table: rows and SQL belong to its users, and rows
// must be idempotent, since a retry sends the same block once more.
package clickhouse
