package sqltext

import "testing"

func TestReplaceName_LeavesLiteralsAndComments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"KILL QUERY WHERE query_id='query_id'":        "KILL QUERY WHERE (x)='query_id'",
		"KILL QUERY WHERE `query_id` = 'a' SYNC":      "KILL QUERY WHERE (x) = 'a' SYNC",
		"KILL QUERY WHERE query_ids = 1 -- query_id":  "KILL QUERY WHERE query_ids = 1 -- query_id",
		"KILL QUERY /* query_id */ WHERE user = 'me'": "KILL QUERY /* query_id */ WHERE user = 'me'",
		"": "",
	} {
		if got := string(ReplaceName([]byte(text), "query_id", "x")); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
