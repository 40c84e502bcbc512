package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// classifyOutput runs the command with args and lines on standard input.
func classifyOutput(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot(process{args: append([]string{"classify"}, args...), stdout: &out, stderr: &out})
	root.SetIn(strings.NewReader(stdin))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestClassify_SaysWhatAnEventWould(t *testing.T) {
	t.Parallel()
	out, err := classifyOutput(t, "550 5.1.1 user unknown\n550-5.7.1 blocked using\\n550 zen.spamhaus.org, 192.0.2.7\n", "--json", "--hard", "--explain")
	if err != nil {
		t.Fatal(err)
	}
	var got []classified
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var c classified
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if len(got) != 2 || got[0].Reason != "invalid_recipient" || got[0].Suppression != "permanent" || len(got[0].Evidence) == 0 ||
		got[1].Blocklist != "spamhaus-zen" || got[1].BlocklistSubject != "192.0.2.7" || got[1].Suppression != "none" {
		t.Errorf("got %+v", got)
	}
	out, err = classifyOutput(t, "", "--provider", "mailjet", "--class", "user unknown", "xyzzy")
	if err != nil || !strings.HasPrefix(out, "invalid_recipient\tcause recipient\tcertain\tpermanent true") {
		t.Errorf("by its class: %q, %v", out, err)
	}
}

func TestClassify_TellsWrongUsageApart(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--because"}, {"one", "two"}, {"--hard", "--soft", "x"}, {"--code", "abc", "x"}, {"--code", "99", "x"}, {"--code", "-5", "x"}, {"--code", "250", "x"},
		{"--enhanced", "5.x", "x"}, {"--enhanced", "9.1.1", "x"}, {"--enhanced", "550 5.1.1", "x"}, {"--enhanced", "5.1.1 ", "x"},
		{"--provider", "mailjte", "--class", "user unknown", "x"}, {"--class", "user unknown", "x"},
	} {
		_, err := classifyOutput(t, "", args...)
		if _, ok := errors.AsType[*usageError](err); !ok {
			t.Errorf("%q: %v", args, err)
		}
	}
	_, err := classifyOutput(t, strings.Repeat("x", replyLineBytesMax+1))
	if _, ok := errors.AsType[*usageError](err); err == nil || ok {
		t.Errorf("a line without an end: %v", err)
	}
}
