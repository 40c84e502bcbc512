package alerting

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	"github.com/mailstream/mailstream/services/alerting/internal/route"
	"github.com/mailstream/mailstream/services/alerting/internal/slack"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// beside adds a webhook as the receiver called name.
func beside(w *webhook, name string) func(*Config) {
	return func(c *Config) {
		c.Receivers = append(c.Receivers, receiver.Config{Name: name, Slack: &slack.Webhook{WebhookURL: config.Literal(w.URL + "/services/T0/B0/" + name)}})
	}
}

func TestReceivers_OneThatRefusesIsSaidToTheOthersOnceAndMendedAtAStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		backup := r.newWebhook()
		r.slack.setFault(func(_ int, w http.ResponseWriter) bool {
			http.Error(w, "no_service", http.StatusNotFound)
			return true
		})
		in := r.start(beside(backup, "backup"))
		r.send(blocked(30, "example.com"))
		posts := backup.want(t, 2)
		spike, sick := posts[0].text, posts[1].text
		if !strings.Contains(spike, "Block rate 100 % at example.com") || !strings.Contains(sick, "Receiver slack does not take messages: `no_service`") {
			t.Errorf("backup heard: %q", texts(posts))
		}
		backup.wantQuiet(t, 2)
		if alerts := r.alerts(in, "?rule=receiver_failing&state=firing"); len(alerts) != 1 || alerts[0].Answer != "no_service" {
			t.Errorf("alerts: %+v", alerts)
		}
		in.stop()

		r.slack.setFault(nil)
		in = r.start(beside(backup, "backup")) // what was refused is tried at a start
		r.slack.want(t, 1)
		if end := backup.want(t, 3)[2].text; !strings.Contains(end, "Receiver slack takes messages") {
			t.Errorf("backup heard: %q", end)
		}
		if alerts := r.alerts(in, "?rule=receiver_failing&state=firing"); len(alerts) != 0 {
			t.Errorf("alerts: %+v", alerts)
		}
	})
}

func TestRoutes_ChooseWhoHears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		other := r.newWebhook()
		r.start(beside(other, "other"), func(c *Config) {
			c.Routes = []route.Route{
				{Receivers: []string{"other"}, Labels: map[string][]string{"recipient_domain": {"b.example"}}},
				{Receivers: []string{"slack"}},
			}
		})
		r.send(blocked(30, "a.example"), blocked(30, "b.example"))
		if got := r.slack.want(t, 1); !strings.Contains(got[0].text, "a.example") {
			t.Errorf("slack heard: %q", texts(got))
		}
		if got := other.want(t, 1); !strings.Contains(got[0].text, "b.example") {
			t.Errorf("other heard: %q", texts(got))
		}
		r.slack.wantQuiet(t, 1)
		other.wantQuiet(t, 1)
	})
}

func TestConfig_NamesEveryFaultOfReceivers(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Slack.WebhookURL = config.Literal("https://hooks.slack.com/services/x")
	hook := &slack.Webhook{WebhookURL: config.Literal("ftp://hunter2")}
	c.Receivers = []receiver.Config{
		{Name: "slack", Slack: hook},
		{Name: "Two Kinds", Slack: hook, SlackBot: &slack.BotConfig{}},
		{Name: "none"},
	}
	c.Routes = []route.Route{{Receivers: []string{"nobody"}, Rule: []string{"receiver_failing", "silence", "not_judged", "silense"}}}
	c.Links.Console = "console"
	c.Rules[0].Name = "receiver_failing"
	var p config.Problems
	c.Validate(&p)
	err := p.Err()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`receivers[0].name: "slack" is taken`, "receivers[0].slack.webhook_url", "receivers[1].name", "receivers[1]: has 2 kinds (slack, slack_bot)",
		"receivers[1].slack_bot.token", "receivers[1].slack_bot.channel", "receivers[2]: has 0 kinds", "routes[0].receivers[0]", "routes[0].rule[3]", "links.console", "rules[0].name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("shows a secret: %v", err)
	}
}

// TestReceivers_ASecretThatIsAFileIsReadAnewAndWhatWasRefusedIsTried replaces a webhook
// that is gone, without a restart.
func TestReceivers_ASecretThatIsAFileIsReadAnewAndWhatWasRefusedIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		gone := r.newWebhook()
		gone.setFault(func(_ int, w http.ResponseWriter) bool {
			http.Error(w, "no_service", http.StatusNotFound)
			return true
		})
		file := filepath.Join(t.TempDir(), "url")
		write := func(url string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(gone.URL)
		in := r.start(func(c *Config) { c.Slack.WebhookURL = fileSecret(t, file) })
		r.send(blocked(30, "example.com"))
		waitFor(t, "a refusal", func() bool { return in.metric(t, "mailstream_alerting_notifications_refused") == 1 })
		if err := os.Remove(file); err != nil { // half of a replacement changes nothing
			t.Fatal(err)
		}
		write(r.slack.URL + "/services/T0/B0/new")
		r.slack.want(t, 1) // long before the minute after which it is tried anyway
		var trial Trial
		if status := r.ask(in, "POST /v1/receivers/slack/test", "", &trial); status != http.StatusOK || trial.Outcome != "delivered" {
			t.Errorf("a test with the new one: %d %+v", status, trial)
		}
	})
}

// fileSecret is a secret as the configuration reads it.
func fileSecret(t *testing.T, path string) config.Secret {
	t.Helper()
	var cfg struct {
		URL config.Secret `yaml:"url"`
	}
	if _, err := config.Load(&cfg, cfg, config.Source{File: []byte("url: file:" + path), Name: "test", ReadFile: os.ReadFile}); err != nil {
		t.Fatal(err)
	}
	return cfg.URL
}

func TestAPI_TriesReceivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		var trial Trial
		if status := r.ask(in, "POST /v1/receivers/slack/test", "", &trial); status != http.StatusOK || trial != (Trial{Receiver: "slack", Outcome: "delivered"}) {
			t.Errorf("taken: %d %+v", status, trial)
		}
		if posts := r.slack.want(t, 2); !strings.Contains(posts[0].body, "this is a test of Mailstream") {
			t.Errorf("posts: %q", texts(posts))
		}
		for call, want := range map[string]int{
			"POST /v1/receivers/nobody/test": http.StatusNotFound, "POST /v1/receivers/slack/test?x=1": http.StatusBadRequest, "GET /v1/receivers/slack/test": http.StatusMethodNotAllowed,
		} {
			if status := r.ask(in, call, "", nil); status != want {
				t.Errorf("%s: %d, want %d", call, status, want)
			}
		}
		if status := r.ask(in, "POST /v1/receivers/slack/test", "{}", nil); status != http.StatusBadRequest {
			t.Errorf("with a body: %d", status)
		}
		r.slack.setFault(func(_ int, w http.ResponseWriter) bool {
			http.Error(w, "no_service", http.StatusNotFound)
			return true
		})
		if status := r.ask(in, "POST /v1/receivers/slack/test", "", &trial); status != http.StatusOK || trial.Outcome != "refused" || trial.Answer != "no_service" || strings.Contains(trial.Detail, "/services/") {
			t.Errorf("refused: %d %+v", status, trial)
		}
	})
}
