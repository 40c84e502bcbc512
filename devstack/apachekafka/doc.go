// Package apachekafka starts a real Apache Kafka for tests, without Docker: the
// broker's jars come from Maven Central, its settings from compose.yaml, so
// that what the tests start is what `docker compose up` starts, except for
// addresses and folders.
//
// It guarantees that no JVM outlives the process that started it, however that
// process ends, and that an acknowledged record survives Kill and Restart. It
// needs Java 17 or later, Maven on the first run, and a Unix. It is not for
// production and not what `make dev` runs.
package apachekafka
