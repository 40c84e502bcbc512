package simulate

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// happened is a fact of the type given.
func happened(t schemas.Type, b schemas.BounceType, reply string) fact {
	return fact{messageID: messageIDFirst, campaign: "simulated"}.at(time.Date(2026, 3, 4, 9, 15, 30, 0, time.UTC)).because(t, b, "", reply)
}

func (f fact) at(t time.Time) fact {
	f.event.Time, f.event.Recipient = t, "ana@example.com"
	return f
}

// bodyOf returns a request with one fact and its body.
func bodyOf(t *testing.T, provider string, f fact) (request, map[string]any) {
	t.Helper()
	cfg := Default()
	cfg.Provider = provider
	o, err := newOccasion(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := dialects()[provider].compose([]fact{f}, o)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(r.body, &body); err != nil {
		t.Fatal(err)
	}
	return r, body
}

// within returns a member of nested objects.
func within(body map[string]any, path ...string) any {
	var v any = body
	for _, name := range path {
		v = v.(map[string]any)[name]
	}
	return v
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`)

func TestPostal_WritesAsPostalDoes(t *testing.T) {
	t.Parallel()
	r, sent := bodyOf(t, "postal", happened(schemas.Delivered, "", "250 2.0.0 queued"))
	for _, name := range []string{webhooksign.PostalHeader, webhooksign.PostalKeyID, "User-Agent"} {
		if r.header[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if !regexp.MustCompile(`"timestamp":1772615730\.\d`).Match(r.body) {
		t.Errorf("no seconds with decimals: %s", r.body)
	}
	_, loaded := bodyOf(t, "postal", happened(schemas.Opened, "", ""))
	if a, b := sent["uuid"].(string), loaded["uuid"].(string); !uuidForm.MatchString(a) || !uuidForm.MatchString(b) || a == b {
		t.Errorf("uuids %q and %q", a, b)
	}
	_, bounced := bodyOf(t, "postal", happened(schemas.Bounced, schemas.Soft, "452 4.2.2 full"))
	message, report := within(bounced, "payload", "original_message").(map[string]any), within(bounced, "payload", "bounce").(map[string]any)
	if got, want := sortedNames(report), sortedNames(message); !slices.Equal(got, want) {
		t.Errorf("a bounce has %v, a message %v", got, want)
	}
}
