package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

type basic struct {
	Username string          `yaml:"username"`
	Password []config.Secret `yaml:"password"`
}

type source struct {
	Name  string `yaml:"name"`
	Basic *basic `yaml:"basic"`
}

type section struct {
	Listen  string          `yaml:"listen"`
	Timeout time.Duration   `yaml:"timeout"`
	Body    config.ByteSize `yaml:"body"`
	Tokens  []config.Secret `yaml:"tokens"`
	Slack   slack           `yaml:"slack"`
	Sources []source        `yaml:"sources"`
	On      bool            `yaml:"on"`
	Limit   int             `yaml:"limit"`
}

type slack struct {
	WebhookURL config.Secret `yaml:"webhook_url"`
}

func (s section) Validate(p *config.Problems) {
	p.Check(s.Timeout > 0, "timeout", "%s is not above 0", s.Timeout)
	p.Check(s.Body <= config.GiB, "body", "%s is above 1GiB", s.Body)
}

type file struct {
	A section `yaml:"a"`
	B section `yaml:"b"`
}

func defaults() file {
	s := section{Listen: "127.0.0.1:1", Timeout: time.Second, Body: 4 * config.MiB}
	return file{A: s, B: s}
}

func load(t *testing.T, yaml string, environ ...string) (file, []string, error) {
	t.Helper()
	cfg := defaults()
	unused, err := config.Load(&cfg, defaults(), config.Source{
		File: []byte(yaml), Name: "test.yaml", Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			if name == "/run/secrets/key" {
				return []byte("from-file\n"), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	return cfg, unused, err
}

func TestLoad_FileThenEnvironmentOverDefaults(t *testing.T) {
	t.Parallel()
	cfg, unused, err := load(t, `
a:
  timeout: 15m
  tokens: [env:TOKEN, literal]
  sources:
    - {name: acme, basic: {username: hook, password: [file:/run/secrets/key]}}
`, "TOKEN=t0k", "MAILSTREAM_A_LISTEN=0.0.0.0:9", "MAILSTREAM_B_BODY=2KiB", "MAILSTREAM_B_TOKENS=x, y",
		"MAILSTREAM_A_SLACK_WEBHOOK_URL=http://slack", "MAILSTREAM_B_ON=true", "MAILSTREAM_B_LIMIT=7",
		"MAILSTREAM_B_SOURCES=[{name: env}]", "MAILSTREAM_A_PORT=tcp://10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		cfg.A.Listen, cfg.A.Timeout, cfg.A.Body, cfg.A.Tokens[0].Reveal(), cfg.A.Tokens[1].Reveal(),
		cfg.A.Sources[0].Basic.Password[0].Reveal(), cfg.A.Slack.WebhookURL.Reveal(),
		cfg.B.Listen, cfg.B.Body, cfg.B.Tokens[1].Reveal(), cfg.B.On, cfg.B.Limit, cfg.B.Sources[0].Name,
	}
	want := []any{
		"0.0.0.0:9", 15 * time.Minute, 4 * config.MiB, "t0k", "literal",
		"from-file", "http://slack",
		"127.0.0.1:1", 2 * config.KiB, "y", true, 7, "env",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"MAILSTREAM_A_PORT sets no field and is ignored"}, unused); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_SectionInFileReplacesThePresetOne(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.A.Limit, cfg.B.Limit = 5, 5 // a preset, such as the development configuration
	_, err := config.Load(&cfg, defaults(), config.Source{File: []byte("a: {listen: here}\n"), Name: "f"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.A.Limit != 0 || cfg.A.Listen != "here" || cfg.B.Limit != 5 {
		t.Errorf("a = %+v, b = %+v", cfg.A, cfg.B)
	}
}

func TestLoad_LooksOnlyAtTheSectionsInUse(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	_, err := config.Load(&cfg, defaults(), config.Source{
		File: []byte("a: {tokens: ['env:NOT_THERE']}\nb: {timeout: 0s}\n"), Name: "f", Sections: []string{"b"},
	})
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Faults) != 1 || !strings.HasPrefix(invalid.Faults[0], "f:2:14: b.timeout: ") {
		t.Errorf("Load = %v, want the fault of b alone", err)
	}
}

func TestLoad_ListsEveryFault(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "a: {timeout: 0s, tokens: ['env:NOT_THERE']}\nb: {body: 2GiB, slack: {webhook_url: 'file:/nope'}}\n", "MAILSTREAM_A_LIMIT=many")
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("err = %v", err)
	}
	for _, want := range []string{
		"test.yaml:1:14: a.timeout: 0s is not above 0", "test.yaml:2:11: b.body: 2GiB is above 1GiB",
		`MAILSTREAM_A_LIMIT: a.limit: "many" is not a whole number`,
		"test.yaml:1:27: a.tokens[0]: environment variable NOT_THERE is not set",
		"test.yaml:2:38: b.slack.webhook_url: read secret: open /nope",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if len(invalid.Faults) != 5 {
		t.Errorf("%d faults, want 5:\n%v", len(invalid.Faults), err)
	}
}

func TestSecret_NeverPrints(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.A.Tokens = []config.Secret{config.Literal("hunter2")}
	cfg.A.Slack.WebhookURL = config.Literal("hunter2")
	printed, err := config.Print(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{printed, fmt.Sprint(cfg), fmt.Sprintf("%+v %#v %s %q", cfg.A.Tokens[0], cfg.A.Tokens[0], cfg.A.Tokens[0], cfg.A.Tokens[0])} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "<set>") {
			t.Errorf("printed: %s", text)
		}
	}
}
