package sendgrid_test

import (
	"bytes"
	"testing"

	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/sendgrid"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"processed", "dropped", "delivered", "deferred", "bounce", "open", "click", "spamreport",
			"unsubscribe", "group_unsubscribe", "group_resubscribe", "account_status_change",
		},
		Batch:   batch,
		Largest: 2500, // SendGrid posts at 768 KB, and no event is below 300 bytes
	}
}

// batch writes what SendGrid writes: CRLF between the objects and at the end.
func batch(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte(",\r\n"))...), "]\r\n"...)
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, sendgrid.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, sendgrid.Provider{}, suite(), providertest.CountJSON)
}

func TestProvider_KnowsAResendWithOtherEventIDs(t *testing.T) {
	t.Parallel()
	first := []string{delivered, `{"email":"ana@example.com","timestamp":1767225700,"event":"brandnew","sg_event_id":"a","score":1}`}
	for _, item := range first {
		changed := bytes.ReplaceAll([]byte(item), []byte(`"sg_event_id":"`), []byte(`"sg_event_id":"resent-`))
		if a, b := providertest.ID(t, sendgrid.Provider{}, []byte(item)), providertest.ID(t, sendgrid.Provider{}, changed); a != b {
			t.Errorf("sent again, %s has the id %s and had %s", changed, b, a)
		}
		other := bytes.ReplaceAll([]byte(item), []byte("ana@"), []byte("bo@"))
		if a, b := providertest.ID(t, sendgrid.Provider{}, []byte(item)), providertest.ID(t, sendgrid.Provider{}, other); a == b {
			t.Errorf("another event has the same id: %s", other)
		}
	}
}

func TestProvider_TellsUnknownEventsApartByFieldsItDoesNotKnow(t *testing.T) {
	t.Parallel()
	event := func(rest string) []byte {
		return []byte(`{"email":"ana@example.com","timestamp":1767225700,"event":"brandnew","sg_message_id":"abc",` + rest + `}`)
	}
	first := providertest.ID(t, sendgrid.Provider{}, event(`"score":1,"kind":"a"`))
	if id := providertest.ID(t, sendgrid.Provider{}, event(`"kind":"a","score":1`)); id != first {
		t.Errorf("with its fields in another order it has the id %s and had %s", id, first)
	}
	for _, other := range []string{`"score":2,"kind":"a"`, `"score":1,"kind":"b"`, `"score":1`, `"score":1,"kind":"a","template_id":"d-1"`} {
		if id := providertest.ID(t, sendgrid.Provider{}, event(other)); id == first {
			t.Errorf("another event has the same id: %s", other)
		}
	}
}

const delivered = `{"email":"ana@example.com","timestamp":1767225602,"event":"delivered","ip":"198.51.100.7","tls":1,"category":["invoice"],"sg_event_id":"ZGVsaXZlcmVkLTEtZXhhbXBsZQ","sg_message_id":"Zk3xExampleMsgId0001aa.recvd-5f54b5d587-aaaaa-1-67BADEEA-6.0","smtp-id":"<Zk3xExampleMsgId0001aa@geopod-ismtpd-1>","response":"250 2.0.0 OK","order":"7781"}`

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, sendgrid.Provider{}, []byte(delivered), batch)
}
