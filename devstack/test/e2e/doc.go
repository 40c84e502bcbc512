// Package e2e proves the whole pipeline: real HTTP in, a Kafka-protocol broker,
// the ClickHouse engine, the services as they are deployed, and a stand-in for
// Slack at its protocol. Without a build tag the broker is the embedded one;
// with the tag kafka the same tests run on Apache Kafka.
package e2e
