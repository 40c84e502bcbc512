// Package store turns Kafka records into rows of Mailstream's ClickHouse tables:
// the schema, the builders of blocks, and what is asked of the tables.
//
// A record is appended to a block whole or, with a Fault, not at all. Builders
// are reused between batches and allocate nothing for an ordinary event. The
// tables remove duplicates, so that storing a record twice, in whatever block,
// changes no answer. The package does no I/O but through the client it is
// given, and does not decide what becomes of a faulty record.
package store
