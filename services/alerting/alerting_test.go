package alerting

import (
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

func TestSpike_IsToldOnceWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.start()
	r.send(delivered(7, "example.com"), bounced(2, "example.com"))
	m := blocked(21, "example.com")
	m.reply = "550 5.7.1 <person@example.com> our system has detected that this message is spam"
	began := time.Now()
	r.send(m)
	posts := r.slack.want(t, 1)
	if took := posts[0].at.Sub(began); took > 2*time.Second {
		t.Errorf("slack was told after %s, want at most 2s", took)
	} else {
		t.Logf("slack was told after %s", took)
	}
	for _, want := range []string{"example.com", "acme", "70 %", "21 of 30", "7 delivered", "2 bounced", "sender 21", "reputation 21"} {
		if !strings.Contains(posts[0].text, want) {
			t.Errorf("text lacks %q: %s", want, posts[0].text)
		}
	}
	if strings.Contains(posts[0].body, "person@") {
		t.Errorf("message names a person: %s", posts[0].body)
	}
	r.send(blocked(30, "example.com"))
	r.slack.wantQuiet(t, 1)
	alerts := r.alerts(in, "?state=firing")
	if len(alerts) != 1 || alerts[0].Labels[schemas.DimensionDomain] != "example.com" {
		t.Errorf("alerts: %+v", alerts)
	}
}
