package main

import (
	"strings"
	"testing"
)

func TestReplay_RefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	const january, february = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	span := []string{"replay", "--from", january, "--to", february}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"replay", "--from", "yesterday", "--to", january}, `"yesterday" for "--from"`},
		{[]string{"replay", "--from", february, "--to", january}, "--from: " + february + " is not before to"},
		{[]string{"replay", "--from", "1996-01-01T00:00:00Z", "--to", january}, "--from: is more than"},
		{[]string{"replay", "--from", january}, `"to" not set`},
		{[]string{"replay", "--from", "1869-12-31", "--to", "1870-01-01"}, "--from: 1869-12-31T00:00:00Z is before 1970"},
		{append(span, "--rate", "0"), "--rate: 0 is not in [1, 50000]"},
		{append(span, "--rate", "-1"), "--rate: -1 is not in"},
		{append(span, "--type", "bounce"), `--type: "bounce" is not one of processed, delivered`},
		{append(span, "--type", ""), "--type: is empty"},
		{append(span, "--source", ""), "--source: is empty"},
		{append(span, "--to-topic", "a b"), `--to-topic: "a b" is not a topic name: want 1 to 249 of a-z, A-Z, 0-9, '.', '_', '-'`},
		{append(span, "--dead-letters", "--type", "bounced"), "--dead-letters: cannot be combined with --type"},
		{append(span, "--dead-letters", "--rate", "501"), "--rate: 501 is not in [1, 500]"},
		{append(span, "--dry-run", "--position", "x"), "--position: cannot be combined with --dry-run"},
		{append(span, "all"), "does not take"},
		{[]string{"reclassify"}, `"since" not set`},
		{[]string{"reclassify", "--since", "May"}, `"May" for "--since" flag: it is neither a time`},
		{[]string{"reclassify", "--since", february, "--until", january}, "--since: " + february + " is not before until"},
		{[]string{"reclassify", "--since", "2026-02-01", "--until", "2026-01-01"}, "--since: " + february + " is not before until"},
		{[]string{"reclassify", "--since", "2999-01-01T00:00:00Z"}, "--since: 2999-01-01T00:00:00Z is not before until"},
		{[]string{"reclassify", "--since", january, "--until", ""}, "nor a date"},
		{[]string{"reclassify", "--since", january, "--type", "delivered"}, `--type: "delivered" has no verdict`},
		{[]string{"reclassify", "--since", january, "--source", ""}, "--source: is empty"},
		{[]string{"reclassify", "--since", january, "--rate", "0"}, "--rate: 0 is not in [1, 50000]"},
		{[]string{"dead-letters"}, "wants one of"},
		{[]string{"dead-letters", "lst"}, "did you mean list"},
		{[]string{"dead-letters", "list", "--state", "closed"}, `--state: "closed" is not one of`},
		{[]string{"dead-letters", "list", "--limit", "5"}, "--each: is missing"},
		{[]string{"dead-letters", "list", "--each", "--limit", "0"}, "--limit: 0 is not in"},
		{[]string{"dead-letters", "list", "--source", ""}, "--source: is empty"},
		{[]string{"dead-letters", "show", "abc"}, "ID:"},
		{[]string{"dead-letters", "redrive"}, "--all: is needed"},
		{[]string{"dead-letters", "redrive", "--all", "--source", "a"}, "--all: cannot be combined"},
		{[]string{"dead-letters", "redrive", "--id", "abc"}, `--id: "abc"`},
		{[]string{"dead-letters", "redrive", "--all", "--rate", "0"}, "--rate: 0 is not in"},
		{[]string{"dead-letters", "discard", "--all"}, `"note" not set`},
		{[]string{"dead-letters", "discard", "--all", "--note", " "}, "--note: is empty"},
		{[]string{"dead-letters", "discard", "--all", "--note", "ana@example.com asked"}, "--note: has an @"},
	} {
		code, _, faults := cli(t, c.args...)
		if code != exitUsage || !strings.Contains(faults, c.want) {
			t.Errorf("%q: %d %s, want %s", c.args, code, faults, c.want)
		}
	}
}
