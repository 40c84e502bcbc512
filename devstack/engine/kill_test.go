package engine_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// TestHTTP_KillsAQueryByTheIDItsClientGave is what the cancel button of a JDBC
// client does: it knows the id that it sent, no other.
func TestHTTP_KillsAQueryByTheIDItsClientGave(t *testing.T) {
	e := enginetest.Start(t)
	for name, kill := range map[string]string{
		"jdbc":   "KILL QUERY WHERE query_id = '%s'",
		"sync":   "kill query where `query_id` IN ('%s', 'other') SYNC",
		"prefix": "KILL QUERY WHERE (query_id LIKE '%s%%') AND query != 'query_id'",
	} {
		t.Run(name, func(t *testing.T) {
			id := "it's " + name
			ended := make(chan reply, 1)
			go func() {
				ended <- do(t, e.URL(), call{params: url.Values{"query_id": {id}}, body: "SELECT sleepEachRow(1) FROM numbers(600) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"})
			}()
			eventually(t, "the query is killed", func() bool {
				if got := do(t, e.URL(), call{body: fmt.Sprintf(kill, `it\'s `+name)}); got.status != http.StatusOK {
					t.Fatalf("%d %s", got.status, got.body)
				}
				select {
				case got := <-ended:
					ended <- got
					return true
				default:
					return false
				}
			})
			if got := <-ended; got.header.Get("X-ClickHouse-Query-Id") != id {
				t.Errorf("ended as %q: %d %s", got.header.Get("X-ClickHouse-Query-Id"), got.status, got.body)
			}
		})
	}
}
