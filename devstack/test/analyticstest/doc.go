// Package analyticstest holds the tests of the analytics service and its schema
// against a real ClickHouse engine and a Kafka-protocol broker. It has only
// tests: services may not import the engine, so these tests are in devstack.
package analyticstest
