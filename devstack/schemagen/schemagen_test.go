package schemagen

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mailstream/mailstream/schemas"
)

const dir = "../../schemas"

func TestGenerate_FilesAreFresh(t *testing.T) {
	t.Parallel()
	files, err := Generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale, run make gen:\n%s", name, diff)
		}
	}
}

func compile(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemas_TakeEverySample(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(dir, "samples", "*.json"))
	if err != nil || len(paths) < len(schemas.Types()) {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(filepath.Base(path), ".")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, compile(t, kind+".schema.json"), string(text)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSchemas_RefuseWhatIsWrong(t *testing.T) {
	t.Parallel()
	const event = `{"id":"x","type":"bounced","time":"2026-01-01T00:00:00.000Z","received_at":"2026-01-01T00:00:00.000Z","provider":"mailjet","source":"s"}`
	s := compile(t, "event.schema.json")
	if err := validate(t, s, event); err != nil {
		t.Fatalf("the event that the cases change is refused itself: %v", err)
	}
	for _, tc := range []struct{ name, from, to string }{
		{"no id", `"id":"x",`, ``},
		{"time is no date", `"time":"2026-01-01T00:00:00.000Z"`, `"time":"yesterday"`},
		{"message id as a number", `"source":"s"`, `"source":"s","message_id":576460761234567891`},
		{"a type that is no text", `"bounced"`, `4`},
		{"a reason that is no text", `"source":"s"`, `"source":"s","reason":true`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(event, tc.from, tc.to, 1)
			if changed == event {
				t.Fatal("the case changes nothing")
			}
			if validate(t, s, changed) == nil {
				t.Errorf("taken: %s", changed)
			}
		})
	}
}

// TestSchemas_TakeWordsOfTomorrow holds the promise to readers: a value they do
// not know is for them to take as other, not for a validator to refuse.
func TestSchemas_TakeWordsOfTomorrow(t *testing.T) {
	t.Parallel()
	const event = `{"id":"x","type":"%s","time":"2026-01-01T00:00:00.000Z","received_at":"2026-01-01T00:00:00.000Z","provider":"p","source":"s",` +
		`"bounce_type":"%[1]s","reason":"%[1]s","cause":"%[1]s"}`
	if err := validate(t, compile(t, "event.schema.json"), fmt.Sprintf(event, "brand_new")); err != nil {
		t.Error(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.schema.json"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"enum"`)) {
			t.Errorf("%s closes a list of words", path)
		}
	}
}

func TestAsyncAPI_NamesEveryTopicAndFilesThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(dir, "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		AsyncAPI string `yaml:"asyncapi"`
		Channels map[string]struct {
			Address string `yaml:"address"`
		} `yaml:"channels"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	p := schemas.DefaultTopicPrefix
	topics := append(schemas.EventTopics(p), "webhook.{source}.{name}", schemas.SuppressionsTopic(p), schemas.AlertsTopic(p), schemas.AlertControlsTopic(p), schemas.ErasuresTopic(p), schemas.AuditTopic(p), schemas.OperationsTopic(p), schemas.DriftTopic(p), schemas.DeadLetterTopic(p), schemas.RatesTopic(p))
	for _, topic := range topics {
		if doc.Channels[topic].Address != topic {
			t.Errorf("no channel for topic %s", topic)
		}
	}
	if len(doc.Channels) != len(topics) || doc.AsyncAPI != "3.0.0" {
		t.Errorf("asyncapi %s with %d channels, want 3.0.0 with %d", doc.AsyncAPI, len(doc.Channels), len(topics))
	}
	for line := range bytes.Lines(text) {
		if _, file, ok := strings.Cut(string(line), "$ref: ./"); ok {
			if _, err := os.Stat(filepath.Join(dir, strings.TrimSpace(file))); err != nil {
				t.Error(err)
			}
		}
	}
}
