// Package analyticstest holds the tests of the analytics service and its schema
// against a real ClickHouse engine and a Kafka-protocol broker. It has no code
// of its own: services may not import the engine, so these tests live beside it.
package analyticstest
