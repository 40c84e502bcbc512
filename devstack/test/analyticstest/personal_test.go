package analyticstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where the statements are that take a person out of a table.
const eraseFolder = "../../../services/internal/erasure/tables/sql/erase"

// impersonal are the columns of free text that lead to no person, and why.
var impersonal = map[string]string{
	"alert_log.causes":                   "of an incident, which is about a source or a mailbox provider",
	"alert_log.fingerprint":              "of an incident, which is about a source or a mailbox provider",
	"alert_log.incident":                 "of an incident, which is about a source or a mailbox provider",
	"alert_log.inhibited_by":             "of an incident, which is about a source or a mailbox provider",
	"alert_log.labels":                   "of an incident, which is about a source or a mailbox provider",
	"alert_log.reasons.sample":           "a reply without addresses and numbers, as alerting keeps it",
	"alert_log.window":                   "of an incident, which is about a source or a mailbox provider",
	"audit_records.id":                   "of the entry",
	"audit_records.note":                 "what was written with it, without addresses",
	"audit_records.object":               "a hash: it stays, as the proof of who looked at the person",
	"campaign_state.message":             "a hash over a message id that is gone",
	"campaign_state.outcome":             "a type of event",
	"campaign_state.sending_ip":          "ours",
	"campaign_state.weights":             "types of events",
	"day_state.message":                  "a hash over a message id that is gone",
	"day_state.outcome":                  "a type of event",
	"day_state.sending_ip":               "ours",
	"day_state.weights":                  "types of events",
	"dead_letter_states.id":              "of the dead letter, which is gone",
	"dead_letter_states.note":            "an address in it is refused",
	"dead_letter_states.operation":       "of the dead letter, which is gone",
	"engagement_weights.sources":         "of the configuration",
	"erasure_log.reason":                 "an address in it is refused",
	"erasure_log.request":                "of the request",
	"event_log.blocklist_subject":        "ours",
	"event_log.blocklist_url":            "of the list that has our address",
	"event_log.list_id":                  "a list of mail that many have",
	"event_log.sending_ip":               "ours",
	"rates_1h_by_sealed.value":           "a campaign, or ours",
	"schema_migrations.checksum":         "of a migration",
	"schema_migrations.name":             "of a migration",
	"suppression_log.entries.evidence":   "an id of an event or of a request",
	"suppression_log.entries.removed_by": "an id of an event or of a request",
	"suppression_log.recipient_hash":     "stays, so that the person is not mailed",
	"turns.holder":                       "a random id of a run",
}

// Every column of free text, in every table there is, is taken out with the person or
// is known to lead to none: a new column needs a decision here.
func TestForget_KnowsEveryColumnThatMayLeadToAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	columns := w.sql(t, `SELECT c.table || '.' || c.name FROM system.columns AS c INNER JOIN system.tables AS t ON c.database = t.database AND c.table = t.name
		WHERE c.database = currentDatabase() AND t.engine LIKE '%MergeTree' AND match(replaceRegexpAll(c.type, 'LowCardinality\\((Nullable\\()?String\\)?\\)', ''), 'String') ORDER BY ALL`)
	seen := map[string]bool{}
	for column := range strings.FieldsSeq(columns) {
		seen[column] = true
		table, name, _ := strings.Cut(column, ".")
		text, err := os.ReadFile(filepath.Join(eraseFolder, table+".sql"))
		if os.IsNotExist(err) {
			text = nil
		} else if err != nil {
			t.Fatal(err)
		}
		_, change, _ := strings.Cut(string(text), "ALTER TABLE")
		change, _, _ = strings.Cut(change, "WHERE")
		erased := strings.Contains(change, "DELETE") || strings.Contains(change, name+" =") || strings.Contains(change, name+"` =")
		if why := impersonal[column]; erased == (why != "") {
			t.Errorf("%s: erased %t, impersonal because %q: have it taken out in %s, or say in this test why it leads to no person", column, erased, why, eraseFolder)
		}
	}
	for column := range impersonal {
		if !seen[column] {
			t.Errorf("%s is no column of free text", column)
		}
	}
}
