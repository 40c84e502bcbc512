package simulate

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

func TestMailerSend_WritesAsMailerSendDoes(t *testing.T) {
	t.Parallel()
	reply := map[string]any{"bounce_reason": "550 5.1.1 no such user", "bounce_code": "550"}
	with := func(bounceType string) map[string]any {
		return map[string]any{"bounce_reason": reply["bounce_reason"], "bounce_code": reply["bounce_code"], "bounce_type": bounceType}
	}
	reader := map[string]any{"ip": readerIP, "country": "DE", "user_agent": readerAgent, "device_type": "desktop", "browser": "Firefox"}
	for _, tt := range []struct {
		fact fact
		kind string
		meta any
	}{
		{happened(schemas.Delivered, "", ""), "delivered", []any{}},
		{happened(schemas.Deferred, "", "451 4.7.1 greylisted"), "deferred", []any{}},
		{happened(schemas.Complained, "", ""), "spam_complaint", []any{}},
		{happened(schemas.Opened, "", ""), "opened", reader},
		{happened(schemas.Unsubscribed, "", ""), "unsubscribed", map[string]any{"unsubscribe_reason": "NO_LONGER_WANT"}},
		{happened(schemas.Bounced, schemas.Hard, "550 5.1.1 no such user"), "rejected", with("hard")},
		{happened(schemas.Bounced, schemas.Soft, "550 5.1.1 no such user"), "rejected", with("soft")},
	} {
		r, body := bodyOf(t, "mailersend", tt.fact)
		if diff := cmp.Diff(tt.meta, within(body, "data", "meta")); diff != "" {
			t.Errorf("meta of %s: %s", body["type"], diff)
		}
		if got := within(body, "data", "type"); got != tt.kind {
			t.Errorf("the type of %s is %s, want %s", body["type"], got, tt.kind)
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`).MatchString(body["created_at"].(string)) {
			t.Errorf("%s has no microseconds: %s", body["type"], r.body)
		}
	}
}
