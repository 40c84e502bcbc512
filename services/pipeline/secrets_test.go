package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/resend"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/pipeline"
)

// Secrets that everybody knows or can guess are refused where anyone may try
// them, in every field that is a secret, and nowhere else.
func TestLoad_RefusesPublishedAndWeakSecretsOffThisHost(t *testing.T) {
	t.Parallel()
	const (
		open   = "ingress: {listen: 0.0.0.0:8080, sources: [%s]}\n"
		basic  = "{name: a, provider: mailjet, auth: {basic: {username: u, password: %q}}}"
		signed = "{name: a, provider: %s, auth: {signing_keys: [%q]}}"
	)
	dev, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]ingress.Source{}
	for _, s := range dev.Ingress.Sources {
		published[s.Name] = s
	}
	sendgrid, postal := published["sendgrid"].Auth.SigningKeys[0].Reveal(), published["postal"].Auth.SigningKeys[0].Reveal()
	pem := "-----BEGIN PUBLIC KEY-----\n" + postal[:64] + "\n" + postal[64:] + "\n-----END PUBLIC KEY-----\n"
	source := func(format string, args ...any) string { return fmt.Sprintf(open, fmt.Sprintf(format, args...)) }
	for _, tc := range []struct{ name, yaml, want string }{
		{"password of dev", source(basic, "dev"), "ingress.sources[0].auth.basic.password[0]: is published"},
		{"password of .env.example", source(basic, "dev-only-change-me-mailjet"), "auth.basic.password[0]: is published"},
		{"password of the example secret", source(basic, "REPLACE-ME"), "auth.basic.password[0]: is published"},
		{"another way to write it", source(basic, "please-Change_Me-to-something"), "auth.basic.password[0]: is published"},
		{"blank password", source(basic, "                    "), "auth.basic.password[0]: is blank"},
		{"short password", source(basic, "fifteen-bytes-x"), "auth.basic.password[0]: has 15 bytes, want at least 16"},
		{"one of two", source("{name: a, provider: mailjet, auth: {basic: {username: u, password: [0123456789abcdef, dev]}}}"), "auth.basic.password[1]: is published"},
		{"bearer", source("{name: a, provider: brevo, auth: {bearer: dev}}"), "auth.bearer[0]: is published"},
		{"header", source("{name: a, provider: brevo, auth: {header: {name: X, value: short}}}"), "auth.header.value[0]: has 5 bytes"},
		{"query", source("{name: a, provider: brevo, auth: {query: {name: x, value: short}}}"), "auth.query.value[0]: has 5 bytes"},
		{"path", source("{name: a, provider: brevo, auth: {path: short}}"), "auth.path[0]: has 5 bytes"},
		{"mailgun", source(signed, "mailgun", dialect.DevelopmentKey), "auth.signing_keys[0]: is published"},
		{"resend", source(signed, "resend", resend.DevelopmentKey), "auth.signing_keys[0]: is published"},
		{"sendgrid's key pair", source(signed, "sendgrid", sendgrid), "auth.signing_keys[0]: is published"},
		{"postal's key pair", source(signed, "postal", postal), "auth.signing_keys[0]: is published"},
		{"postal's key pair as PEM", source(signed, "postal", pem), "auth.signing_keys[0]: is published"},
		{"certificate of SNS", source("{name: a, provider: ses, auth: {sns: {topic_arns: [%q], certificates: [%q]}}}", ses.DevelopmentTopicArn, published["ses"].Auth.SNS.Certificates[0]), "auth.sns.certificates[0]: is published"},
		{"pepper", "privacy: {pepper: dev-only-change-me-pepper}\nsuppression: {listen: 0.0.0.0:8082, tokens: [0123456789abcdef]}\n", "privacy.pepper: is published"},
		{"pepper of dev", "privacy: {pepper: development-pepper-not-a-secret}\nsuppression: {listen: '[::]:8082', tokens: [0123456789abcdef]}\n", "privacy.pepper: is published"},
		{"token of suppression", "suppression: {listen: ':8082', tokens: [0123456789abcdef, short]}\n", "suppression.tokens[1]: has 5 bytes"},
		{"token of alerting", "alerting: {listen: 192.0.2.1:8083, tokens: [dev]}\n", "alerting.tokens[0]: is published"},
		{"Slack of .env.example", "alerting: {listen: 0.0.0.0:8083, slack: {webhook_url: 'http://slack-webhook-url-is-not-set.invalid/'}}\n", "alerting.slack.webhook_url: is published"},
		{"ClickHouse elsewhere", "clickhouse: {url: 'http://clickhouse:8123', password: dev-only-change-me-clickhouse}\n", "clickhouse.password: is published"},
		{"ClickHouse elsewhere without a password", "clickhouse: {url: 'https://clickhouse.example.com:8443'}\n", "clickhouse.password: has 0 bytes, want at least 8"},
		{"published password of ClickHouse here, seen by all", "clickhouse: {password: dev-only-change-me-clickhouse}\nanalytics: {listen: 0.0.0.0:8081}\n", "clickhouse.password: is published"},
		{"Kafka elsewhere", "kafka: {brokers: [kafka.example.com:9093], tls: {enabled: true}, sasl: {mechanism: PLAIN, username: u, password: short}}\n", "kafka.sasl.password: has 5 bytes, want at least 8"},
		{"a token with the line feed of its file", "suppression: {listen: '0.0.0.0:8082', tokens: [\"0123456789abcdef\\n\"]}\n", "suppression.tokens[0]: holds a control character"},
		{"Kafka's example", "kafka: {brokers: [kafka.example.com:9093], tls: {enabled: true}, sasl: {mechanism: PLAIN, username: u, password: REPLACE-ME}}\n", "kafka.sasl.password: is published"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			useless := strings.Contains(tc.want, "blank") || strings.Contains(tc.want, "control character") // anywhere
			in := pipeline.Input{File: []byte(tc.yaml), Name: "c.yaml", Base: strong(t)}
			if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Count(err.Error(), "\n") != 1 {
				t.Errorf("faults: %v\nwant one with %s", err, tc.want)
			}
			in.Environ = []string{"MAILSTREAM_MODE=development"}
			if _, _, err := pipeline.Load(in); err != nil && !useless {
				t.Errorf("in development: %v", err)
			}
			here := strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]", "':8082'", "localhost:8082", "192.0.2.1", "127.0.0.2",
				"clickhouse.example.com", "localhost", "http://clickhouse:", "http://127.0.0.1:", "kafka.example.com", "127.0.0.1").Replace(tc.yaml)
			in.File, in.Environ = []byte(here), nil
			if _, _, err := pipeline.Load(in); err != nil && !useless {
				t.Errorf("on this host: %v", err)
			}
		})
	}
}

// The users of the console are a file with a line each.
func TestLoad_TakesTheUsersOfTheConsoleFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	const hash = "$2b$10$rizgzLFhTB5CuAu2xyGPcutb1c/TtJSOPUntS7s14wMFozuoY8z9m"
	if err := os.WriteFile(file, []byte("# people\nana:admin:"+hash+"\nben:viewer:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := pipeline.Input{File: []byte("console: {listen: '0.0.0.0:8088', auth: {users: 'file:" + file + "'}}\n"), Name: "c.yaml", Base: strong(t), Services: []pipeline.Name{pipeline.Console}}
	if _, _, err := pipeline.Load(in); err != nil {
		t.Error(err)
	}
}

// Whoever changes only the name of an example user would let in everybody who knows the
// published password, and a line that is not filled in is no user.
func TestLoad_RefusesAPublishedUserOfTheConsole(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"ana:admin:REPLACE-ME": "line 1 has no bcrypt hash",
		"dev-only-change-me:admin:$2b$10$rizgzLFhTB5CuAu2xyGPcutb1c/TtJSOPUntS7s14wMFozuoY8z9m": "is published",
		"ana:admin:$2b$10$eP11iO00qNK/QDYxHh8ETeOE5yvoKezReopp2SaQYTYy8aMtccgOq":                "is published",
	} {
		in := pipeline.Input{File: []byte("console: {listen: '0.0.0.0:8088', auth: {users: '" + user + "'}}\n"), Name: "c.yaml", Base: strong(t), Services: []pipeline.Name{pipeline.Console}}
		if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), "console.auth.users: "+want) {
			t.Errorf("%s: %v, want %s", user, err, want)
		}
	}
}

// A fault of one field hides none of its neighbour: PLAIN without TLS and the
// password of the example are named at once.
func TestLoad_NamesAPublishedPasswordBesidePlainWithoutTLS(t *testing.T) {
	t.Parallel()
	const text = "kafka: {brokers: [kafka.example.com:9092], sasl: {mechanism: PLAIN, username: u, password: REPLACE-ME}}\n"
	for _, services := range [][]pipeline.Name{nil, {pipeline.Topics}, {pipeline.Analytics}} {
		_, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "c.yaml", Base: strong(t), Services: services})
		for _, want := range []string{"kafka.sasl.mechanism: PLAIN sends the password", "kafka.sasl.password: is published"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, want %q", services, err, want)
			}
		}
	}
}

// strong is a configuration whose every secret is one of its own.
func strong(t *testing.T) *pipeline.Config {
	t.Helper()
	cfg, _, err := pipeline.Load(pipeline.Input{File: fmt.Appendf(nil, base, "state"), Environ: environment(
		"MAILSTREAM_ANALYTICS_LISTEN=127.0.0.1:8081", "MAILSTREAM_KAFKA_BROKERS=127.0.0.1:9092")})
	if err != nil {
		t.Fatal(err)
	}
	return &cfg
}

// The development configuration is marked as such, and every secret in it is one
// that the rule knows.
func TestDev_IsMarkedAndItsSecretsAreKnown(t *testing.T) {
	t.Parallel()
	dev, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	if dev.Mode != pipeline.Development {
		t.Errorf("mode %q", dev.Mode)
	}
	dev.Mode = pipeline.Production
	_, _, err = pipeline.Load(pipeline.Input{Base: &dev, Environ: []string{"MAILSTREAM_INGRESS_LISTEN=0.0.0.0:1", "MAILSTREAM_SUPPRESSION_LISTEN=0.0.0.0:2", "MAILSTREAM_ALERTING_LISTEN=0.0.0.0:3"}})
	for _, s := range dev.Ingress.Sources {
		if !strings.Contains(fmt.Sprint(err), "is published") {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if got, want := strings.Count(fmt.Sprint(err), "is published"), len(dev.Ingress.Sources)+4; got != want {
		t.Errorf("%d secrets are refused, want one a source, the pepper, the key of links and two tokens, %d:\n%v", got, want, err)
	}
}
