package main

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/pipeline"
)

// TestFirstSteps_SayWhatIsConfigured holds the first lines a person types to the
// sources of their own file, and shows no secret of it.
func TestFirstSteps_SayWhatIsConfigured(t *testing.T) {
	t.Parallel()
	const secret = "kq8Zr2Vt5Xw7Yb1N"
	for name, tt := range map[string]struct {
		auth, provider string
		want           []string
	}{
		"basic":  {"{basic: {username: hook, password: " + secret + "}}", "postmark", []string{"-u USERNAME:PASSWORD '", "/v1/webhooks/shop'", "--config own.yaml", "--source shop"}},
		"header": {"{header: {name: X-Token, value: " + secret + "}}", "postmark", []string{"-H 'X-Token: SECRET'", "/v1/webhooks/shop'"}},
		"path":   {"{path: [" + secret + "]}", "activecampaign", []string{"/v1/webhooks/shop/SECRET'"}},
		"signed": {"{signing_keys: [" + secret + "]}", "mailgun", []string{"mailgun sends it and signs it", "--source shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, err := pipeline.Dev()
			if err != nil {
				t.Fatal(err)
			}
			cfg, _, err := pipeline.Load(pipeline.Input{
				File: []byte("ingress: {sources: [{name: shop, provider: " + tt.provider + ", auth: " + tt.auth + "}]}"), Name: "own.yaml", Base: &base,
			})
			if err != nil {
				t.Fatal(err)
			}
			got := firstSteps(cfg, "own.yaml", "http://127.0.0.1:8080")
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if strings.Contains(got, secret) || strings.Contains(got, "mailjet") {
				t.Errorf("a secret, or a source that is not configured, in\n%s", got)
			}
		})
	}
}

// TestFirstSteps_OfAFileWithoutSources holds simulate to the sources that run: the file
// has none, so simulate must not look there.
func TestFirstSteps_OfAFileWithoutSources(t *testing.T) {
	t.Parallel()
	base, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte("log: {level: info}"), Name: "own.yaml", Base: &base})
	if err != nil {
		t.Fatal(err)
	}
	got := firstSteps(cfg, "own.yaml", "http://127.0.0.1:8080")
	if strings.Contains(got, "--config") || !strings.Contains(got, "curl -u dev:dev ") {
		t.Errorf("not the sources of development in\n%s", got)
	}
}

// TestConsoleAt_SaysWhetherThereIsALogin has the console without a way to sign in, and with
// each of them.
func TestConsoleAt_SaysWhetherThereIsALogin(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1:8088"
	for auth, open := range map[string]bool{
		"{}": true, "{tokens: [{name: report, role: viewer, token: a-token-of-the-tests}]}": false, "{proxy: {networks: [10.0.0.0/8]}}": false,
	} {
		base, err := pipeline.Dev()
		if err != nil {
			t.Fatal(err)
		}
		cfg, _, err := pipeline.Load(pipeline.Input{File: []byte("console: {auth: " + auth + "}"), Name: "own.yaml", Base: &base})
		if err != nil {
			t.Fatal(err)
		}
		if got := consoleAt(cfg, url); strings.Contains(got, "no login") != open || !strings.HasPrefix(got, url) {
			t.Errorf("%s: %s", auth, got)
		}
	}
}
