package postal_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`)

func TestPostal_WritesAsPostalDoes(t *testing.T) {
	t.Parallel()
	r, sent := providertest.PlayObject(t, postal.Entry().Dialect, providertest.Happened(schemas.Delivered, "", "250 2.0.0 queued"))
	for _, name := range []string{postal.SignatureHeader, "X-Postal-Signature-KID", "User-Agent"} {
		if r.Header[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if !regexp.MustCompile(`"timestamp":1772615730\.\d`).Match(r.Body) {
		t.Errorf("no seconds with decimals: %s", r.Body)
	}
	_, loaded := providertest.PlayObject(t, postal.Entry().Dialect, providertest.Happened(schemas.Opened, "", ""))
	if a, b := sent["uuid"].(string), loaded["uuid"].(string); !uuidForm.MatchString(a) || !uuidForm.MatchString(b) || a == b {
		t.Errorf("uuids %q and %q", a, b)
	}
	_, bounced := providertest.PlayObject(t, postal.Entry().Dialect, providertest.Happened(schemas.Bounced, schemas.Soft, "452 4.2.2 full"))
	message, report := providertest.Within(bounced, "payload", "original_message").(map[string]any), providertest.Within(bounced, "payload", "bounce").(map[string]any)
	if got, want := slices.Sorted(maps.Keys(report)), slices.Sorted(maps.Keys(message)); !slices.Equal(got, want) {
		t.Errorf("a bounce has %v, a message %v", got, want)
	}
}
