package mailersend_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func TestMailerSend_WritesAsMailerSendDoes(t *testing.T) {
	t.Parallel()
	reply := map[string]any{"bounce_reason": "550 5.1.1 no such user", "bounce_code": "550"}
	with := func(bounceType string) map[string]any {
		return map[string]any{"bounce_reason": reply["bounce_reason"], "bounce_code": reply["bounce_code"], "bounce_type": bounceType}
	}
	reader := map[string]any{"ip": dialect.ReaderIP, "country": "DE", "user_agent": dialect.ReaderAgent, "device_type": "desktop", "browser": "Firefox"}
	for _, tt := range []struct {
		fact dialect.Fact
		kind string
		meta any
	}{
		{providertest.Happened(schemas.Delivered, "", ""), "delivered", []any{}},
		{providertest.Happened(schemas.Deferred, "", "451 4.7.1 greylisted"), "deferred", []any{}},
		{providertest.Happened(schemas.Complained, "", ""), "spam_complaint", []any{}},
		{providertest.Happened(schemas.Opened, "", ""), "opened", reader},
		{providertest.Happened(schemas.Unsubscribed, "", ""), "unsubscribed", map[string]any{"unsubscribe_reason": "NO_LONGER_WANT"}},
		{providertest.Happened(schemas.Bounced, schemas.Hard, "550 5.1.1 no such user"), "rejected", with("hard")},
		{providertest.Happened(schemas.Bounced, schemas.Soft, "550 5.1.1 no such user"), "rejected", with("soft")},
	} {
		r, body := providertest.PlayObject(t, mailersend.Entry().Dialect, tt.fact)
		if diff := cmp.Diff(tt.meta, providertest.Within(body, "data", "meta")); diff != "" {
			t.Errorf("meta of %s: %s", body["type"], diff)
		}
		if got := providertest.Within(body, "data", "type"); got != tt.kind {
			t.Errorf("the type of %s is %s, want %s", body["type"], got, tt.kind)
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`).MatchString(body["created_at"].(string)) {
			t.Errorf("%s has no microseconds: %s", body["type"], r.Body)
		}
	}
}
