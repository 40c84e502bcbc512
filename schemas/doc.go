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
//  4. Fill it in the providers that know it (services/internal/provider). The generic
//     one takes it from a configured place: a member of Config in config.go, a slot in
//     generic.go and build.go; make gen writes docs/configuration.md.
//  5. Give event_log a column: a migration with the next number in
//     services/analytics/internal/store/sql/schema, which also replaces the view events.
//     Copy the view from the newest file that makes it, today 0014_hide_at_once.sql: older
//     ones lack apply_mutations_on_fly, and without it people who were forgotten show
//     until their rows are rewritten. Then event.go, events.go and
//     sql/insert/event_log.sql there.
//  6. Where the story of a person needs it: person_log, the view person_log_fill that
//     fills it, person_messages and message_story, from the newest file that makes each
//     (0015_person_messages.sql); for the console person.go and sql/person_events.sql,
//     sql/message_events.sql in services/console/internal/history.
//  7. Add it to stored.go and sql/page.sql in services/replay: else an event that is read
//     from ClickHouse is published without it.
//  8. May it lead to a person? Then it is emptied in event.blank (event.go of step 5) and
//     in services/internal/erasure/tables/sql/erase/event_log.sql. Else say why it leads to
//     none, in devstack/test/analyticstest/personal_test.go.
//  9. Say in docs/sql.md what it answers, or that a view leaves it out.
//
// Tests fail until 1, 2, 3, 5 and 8 are done; nothing reminds of the others. The other records are read and written with
// encoding/json: they are rare.
package schemas
