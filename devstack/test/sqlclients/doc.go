// Package sqlclients holds the tests that run the clients of other languages, as
// their users install them and with their defaults, against the embedded engine:
// clickhouse-connect (Python), the JDBC driver of both generations and the Java
// client. They need python3 with pip, Java 17 and Maven; `make test-sql` runs them.
// What the clients send first is kept in devstack/engine/testdata/clients, where
// every `make test` replays it.
package sqlclients
