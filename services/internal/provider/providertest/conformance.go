package providertest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Conformance is testdata/conformance.yaml in a provider's folder: what the tests that
// hold all providers to one contract have to know of each.
type Conformance struct {
	Answers Answers `yaml:"answers"`
	// Unplayed are the types that the scenarios of a simulation have and that it does not
	// play of this provider, since it has no word for them; of bounces, bounced/soft.
	Unplayed []string `yaml:"unplayed"`
	// Failures is empty for the generic source, each of which is configured.
	Failures Failures `yaml:"failures"`
}

// Answers is what a provider makes of a status, by its documentation.
type Answers struct {
	// Done is after which statuses it does not send again, Final after which it drops
	// the events: a status, 2xx and the like, "not" before one, never.
	Done  string `yaml:"done"`
	Final string `yaml:"final"`
	// Want is what provider.Answers has to be.
	Want struct {
		OK              int           `yaml:"ok"`
		Unauthenticated int           `yaml:"unauthenticated"`
		Malformed       int           `yaml:"malformed"`
		TooLarge        int           `yaml:"too_large"`
		Slow            int           `yaml:"slow"`
		Unavailable     int           `yaml:"unavailable"`
		ChallengeFirst  bool          `yaml:"challenge_first"`
		ResponseTimeout time.Duration `yaml:"response_timeout"`
	} `yaml:"want"`
}

// Failures is what a provider calls a failure. It is called in words, separated by "|",
// each of which is in a field of its own.
type Failures struct {
	// Request is the template of a request about one failure; see Failure for what is in
	// it. It has the functions json and query, which write a text as JSON and as a part
	// of a query or form.
	Request string `yaml:"request"`
	// Final are the words of a final failure that say nothing of its reason.
	Final string `yaml:"final"`
	// NoReply is why there are no such words: the provider hands no reply on.
	NoReply string `yaml:"no_reply"`
	// Hardest are words that sound as if the address were dead, beside any reply.
	Hardest []string `yaml:"hardest"`
	// Words has the words of each failure that all providers are asked for, and Silent says
	// why some are not in it.
	Words  map[string]string `yaml:"words"`
	Silent string            `yaml:"silent"`
	// Unlike is what comes out otherwise than of other providers, and why it may.
	Unlike map[string]Unlike `yaml:"unlike"`
}

// Unlike is a verdict that differs from that of the other providers.
type Unlike struct {
	Verdict string `yaml:"verdict"`
	Why     string `yaml:"why"`
}

// ConformanceOf reads the file of the named provider; root is the folder of all
// providers.
func ConformanceOf(tb testing.TB, root, name string) Conformance {
	tb.Helper()
	file := filepath.Join(root, name, "testdata", "conformance.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var c Conformance
	if err := config.Decode(file, text, &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

// Failure is one failure in the template of Failures.Request.
type Failure struct {
	words    []string
	Reply    string // of the remote server
	template *template.Template
}

// Word returns a word of what the provider calls it, "" behind the last.
func (f Failure) Word(i int) string {
	if i < len(f.words) {
		return f.words[i]
	}
	return ""
}

// Code is the SMTP code of the reply.
func (f Failure) Code() int { code, _ := classify.Codes(f.Reply); return code }

// Status is the enhanced status code of the reply.
func (f Failure) Status() string { _, status := classify.Codes(f.Reply); return status }

// Text is the reply behind its SMTP code.
func (f Failure) Text() string { return strings.TrimPrefix(f.Reply, fmt.Sprint(f.Code(), " ")) }

// Render returns what another template of the file writes.
func (f Failure) Render(name string) (string, error) {
	var out strings.Builder
	err := f.template.ExecuteTemplate(&out, name, f)
	return out.String(), err
}

func asJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// Writer returns what writes a failure, called by words, as a request of p.
func (f Failures) Writer(tb testing.TB, p provider.Provider) func(words, reply string) *provider.Request {
	tb.Helper()
	t, err := template.New(p.Name()).Funcs(template.FuncMap{"json": asJSON, "query": url.QueryEscape}).Parse(f.Request)
	if err != nil || f.Request == "" {
		tb.Fatalf("template of a request of %s, %d bytes: %v", p.Name(), len(f.Request), err)
	}
	return func(words, reply string) *provider.Request {
		text, err := Failure{words: strings.Split(words, "|"), Reply: reply, template: t}.Render(p.Name())
		if err != nil {
			tb.Fatal(err)
		}
		return requestOf(p, []byte(text))
	}
}
