package suppression_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/suppression"
)

// export calls line with each line of an export and returns its token.
func (r *replica) export(query string, line func([]byte)) (token string) {
	r.tb.Helper()
	req, err := http.NewRequest("GET", r.url+"/v1/suppressions/export?"+query, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret-bearer-token")
	resp, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	n := 0
	for ; lines.Scan(); n++ {
		line(lines.Bytes())
	}
	if resp.StatusCode != 200 || lines.Err() != nil || resp.Trailer.Get("Mailstream-Entries") != fmt.Sprint(n) {
		r.tb.Fatalf("%s: %d, %v, trailer %q for %d lines", query, resp.StatusCode, lines.Err(), resp.Trailer.Get("Mailstream-Entries"), n)
	}
	return resp.Header.Get("Mailstream-Token")
}

// exportLine is an entry.
type exportLine struct {
	Hash                                string `json:"recipient_hash"`
	Reason, Scope, Since, Expires, Note string
}

// listCopy is what a neighbour keeps: the entries of each hash.
type listCopy map[string]map[string]string

func (c listCopy) put(hash string, f exportLine) {
	if c[hash] == nil {
		c[hash] = map[string]string{}
	}
	c[hash][f.Scope+" "+f.Reason] = fmt.Sprint(f.Since, f.Expires, f.Note)
}

func (r *replica) all() (c listCopy, token string) {
	c = listCopy{}
	token = r.export("format=ndjson", func(b []byte) {
		var f exportLine
		if err := json.Unmarshal(b, &f); err != nil {
			r.tb.Fatal(err)
		}
		c.put(f.Hash, f)
	})
	return c, token
}

// follow applies the changes since a token and returns the next one.
func (c listCopy) follow(r *replica, token string) string {
	return r.export("since_token="+url.QueryEscape(token), func(b []byte) {
		var changed struct {
			Hash    string `json:"recipient_hash"`
			Entries []exportLine
		}
		if err := json.Unmarshal(b, &changed); err != nil {
			r.tb.Fatal(err)
		}
		delete(c, changed.Hash)
		for _, f := range changed.Entries {
			c.put(changed.Hash, f)
		}
	})
}

// TestExport_ACopyAndTheChangesAreTheList keeps a copy in step with two replicas that
// random writes go to.
func TestExport_ACopyAndTheChangesAreTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		replicas := []*replica{start(t, options{broker: broker}), start(t, options{broker: broker})}
		random := rand.New(rand.NewPCG(7, 14))
		last := ""
		write := func(n int) {
			t.Helper()
			for range n {
				r, who := replicas[random.IntN(2)], fmt.Sprintf("u%d@example.com", random.IntN(60))
				var answer written
				status := 0
				if random.IntN(3) > 0 {
					status = r.call("PUT", "/v1/suppressions", object{"address": who, "reason": []string{"manual", "hard_bounce"}[random.IntN(2)],
						"list": fmt.Sprint(random.IntN(3)), "note": fmt.Sprint(random.IntN(5))}, &answer)
				} else {
					status = r.call("POST", "/v1/suppressions/remove", object{"address": who, "note": "asked"}, &answer)
				}
				if status != 200 {
					t.Fatalf("%d %+v", status, answer)
				}
				last += answer.Token + " "
			}
		}
		write(40)
		replicas[0].settle(last)
		kept, token := replicas[0].all()
		for round := range 6 {
			last = ""
			write(15 * (round % 3)) // none is a round, too
			r := replicas[round%2]
			replicas[0].settle(last)
			replicas[1].settle(last)
			before := token
			token = kept.follow(r, token)
			want, _ := r.all()
			if diff := cmp.Diff(want, kept); diff != "" {
				t.Fatalf("round %d: copy and changes are not the list (-list +copy):\n%s", round, diff)
			}
			again := maps.Clone(kept)
			if again.follow(r, before) == "" || !cmp.Equal(again, kept) { // as after a crash of the neighbour
				t.Error("the same changes once more make another copy")
			}
		}
		n := 0
		if replicas[0].export("since_token="+url.QueryEscape(token), func([]byte) { n++ }); n != 0 {
			t.Errorf("%d lines although nothing changed", n)
		}
	})
}

// settle waits until the replica has the writes of tokens.
func (r *replica) settle(tokens string) {
	r.tb.Helper()
	all := strings.Fields(tokens)
	for len(all) > 0 {
		some := all[:min(len(all), 40)]
		var answer checked
		if status := r.call("POST", "/v1/suppressions/check", object{"addresses": []string{}, "min_token": strings.Join(some, " ")}, &answer); status == 200 {
			all = all[len(some):]
		} else if status != 409 {
			r.tb.Fatalf("%d %s", status, answer.Title)
		}
	}
}

func TestExport_RefusesABadToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, options{broker: kafkatest.StartVirtual(t), change: func(c *suppression.Config) { c.TokenWait = 0 }})
		_, token := r.all()
		for query, want := range map[string]struct {
			status int
			says   string
		}{
			"since_token=": {400, "since_token"}, "since_token=nonsense": {400, "token"}, "since_token=00000000:0@1": {400, "another deployment"},
			"since_token=" + strings.Repeat("x", 3000): {400, "longer than"}, "since_token=" + url.QueryEscape(token) + "&format=csv": {400, "csv"},
			"since_token=" + url.QueryEscape(strings.ReplaceAll(token, "@-1", "@99")): {409, "not applied"}, "since_token=%20": {400, "since_token"},
		} {
			var p written
			if status := r.call("GET", "/v1/suppressions/export?"+query, nil, &p); status != want.status || !strings.Contains(p.Detail, want.says) {
				t.Errorf("%.60s: %d %+v, want %+v", query, status, p, want)
			}
		}
	})
}
