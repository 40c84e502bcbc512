// Package schemas is the contract between Mailstream and everybody who reads
// its topics: the event, suppression, alert, rate and dead-letter records as
// Go types, the topic names, the record key and the JSON codec.
//
// It promises that fields are only ever added and never change their meaning;
// CHANGELOG.md lists each addition. It requires nothing but the standard
// library, so that importing it costs a team no dependency. It holds data, not
// behaviour: no Kafka client, no HTTP, no logging.
//
// An event has one writer, AppendJSON, and one reader, Reader; Decode is the
// reader and a copy. Both are generated from the struct tags of Event. To add a
// field:
//
//  1. Add one line to Event, with its tag and a comment that says what it is. Its
//     place in the struct is its place in the record.
//  2. Run make gen, which writes event_gen.go and the JSON Schemas.
//  3. Add a value to full in codec_test.go, run go test -run Fields -update here, and
//     note the field in CHANGELOG.md.
//  4. Analytics keeps every field: add a column (services/analytics/internal/store,
//     a migration and events.go).
//
// Tests fail until all of it is done. The other records are read and written with
// encoding/json: they are rare.
package schemas
