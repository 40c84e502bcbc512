// Package schemas is the contract between Mailstream and everybody who reads
// its topics: the event, suppression, alert, rate and dead-letter records as
// Go types, the topic names, the record key and the JSON codec.
//
// It promises that fields are only ever added and never change their meaning;
// CHANGELOG.md lists each addition. It requires nothing but the standard
// library, so that importing it costs a team no dependency. It holds data, not
// behaviour: no Kafka client, no HTTP, no logging.
package schemas
