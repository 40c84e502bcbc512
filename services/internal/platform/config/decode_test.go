package config_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// What YAML 1.2 says is one configuration is one, however it is written.
func TestLoad_TakesEveryFormOfYAML(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, yaml string }{
		{"flow", `a: {listen: 127.0.0.1:9092, tokens: [x, y], on: true}`},
		{"flow without spaces", `{"a":{"listen":"127.0.0.1:9092","tokens":["x","y"],"on":true}}`},
		{"flow over lines", "a: {\n  listen: 127.0.0.1:9092,\n  tokens: [x,\n    y],\n  on: true,\n}\n"},
		{"block", "a:\n  listen: 127.0.0.1:9092\n  tokens:\n    - x\n    - y\n  on: true\n"},
		{"list at the indentation of its key", "a:\n  listen: 127.0.0.1:9092\n  tokens:\n  - x\n  - y\n  on: true\n"},
		{"quotes", "a: {'listen': \"127.0.0.1:9092\", tokens: ['x', \"\\x79\"], on: 'true'}"},
		{"folded", "a:\n  listen: >-\n    127.0.0.1:9092\n  tokens: [x, y]\n  on: true\n"},
		{"CRLF", "a:\r\n  listen: 127.0.0.1:9092\r\n  tokens: [x, y]\r\n  on: true\r\n"},
		{"byte order mark", "\ufeffa: {listen: 127.0.0.1:9092, tokens: [x, y], on: true}\n"},
		{"directive", "%YAML 1.2\n---\na: {listen: 127.0.0.1:9092, tokens: [x, y], on: true}\n...\n"},
		{"tabs where they separate", "a:\t{listen:\t127.0.0.1:9092,\ttokens: [x,\ty], on: true}\t# end\n"},
		{"comments", "# head\na: # section\n  # field\n  listen: 127.0.0.1:9092 # here\n  tokens: [x, y]\n  on: true\n# end"},
		{"empty document behind it", "a: {listen: 127.0.0.1:9092, tokens: [x, y], on: true}\n---\n"},
		{"anchors", "x-both: &both [x, y]\na: {listen: &at 127.0.0.1:9092, tokens: *both, on: true}\n"},
		{"merge", "x-a: &base {listen: 10.0.0.1:1, on: true}\na: {<<: *base, listen: 127.0.0.1:9092, tokens: [x, y]}\n"},
		{"merge of several, the first counts", "x-1: &one {listen: 127.0.0.1:9092}\nx-2: &two {listen: other, on: true}\na:\n  <<: [*one, *two]\n  tokens: [x, y]\n"},
		{"string tag", "a: {listen: !!str 127.0.0.1:9092, tokens: [!!str x, y], on: true}"},
		{"null leaves the default", "a: {listen: 127.0.0.1:9092, tokens: [x, y], on: true, limit: ~, body: null, timeout: }\nb:\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg, _, err := load(t, tc.yaml)
			if err != nil {
				t.Fatal(err)
			}
			got := []any{cfg.A.Listen, len(cfg.A.Tokens), cfg.A.On, cfg.A.Body, cfg.A.Timeout, cfg.B.Listen}
			if diff := cmp.Diff([]any{"127.0.0.1:9092", 2, true, 4 * config.MiB, time.Second, "127.0.0.1:1"}, got); diff != "" {
				t.Error(diff)
			}
			if cfg.A.Tokens[0].Reveal()+cfg.A.Tokens[1].Reveal() != "xy" {
				t.Error("tokens are not x and y")
			}
		})
	}
}

func TestLoad_EmptyFilesAreTheDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "\ufeff", "null", "x-a: 1\n"} {
		if cfg, _, err := load(t, text); err != nil || cfg.A.Listen != defaults().A.Listen {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Text is what is written where text is wanted, whatever YAML 1.1 makes of it.
func TestLoad_ReadsTextAsItStands(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"no", "yes", "off", "0123", "1e3", "12:30:45", "2026-11-28", "0x1F", "1_000", ".inf", "true", "=", "user:pass"} {
		if cfg, _, err := load(t, "a: {listen: "+text+"}"); err != nil || cfg.A.Listen != text {
			t.Errorf("%s is read as %q, %v", text, cfg.A.Listen, err)
		}
	}
}

// The forms of whole numbers are those of YAML 1.2, section 10.3.2.
func TestLoad_ReadsWholeNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"12": 12, "-1": -1, "+1": 1, "0": 0, "1_000": 1000, "0o17": 15, "0xfF": 255} {
		if cfg, _, err := load(t, "a: {limit: "+text+"}"); err != nil || cfg.A.Limit != want {
			t.Errorf("%s is read as %d, %v", text, cfg.A.Limit, err)
		}
	}
}

// Every fault has its place, its field and what may stand there, and none shows
// a Go type or what may be a secret.
func TestLoad_SaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, yaml string
		want       []string
	}{
		{"unknown section", "c: {}\n", []string{"test.yaml:1:1: c: unknown field"}},
		{"unknown keys, all of them", "a:\n  tokns: [hunter2]\n  Listen: x\nb: {limt: 1, zzz: 2}\n", []string{
			"test.yaml:2:3: a.tokns: unknown field; the nearest is a.tokens", "test.yaml:3:3: a.Listen: unknown field; the nearest is a.listen",
			"test.yaml:4:5: b.limt: unknown field; the nearest is b.limit", "test.yaml:4:14: b.zzz: unknown field",
		}},
		{"a key of another place", "a: {slack: {tokens: hunter2}}\n", []string{"test.yaml:1:13: a.slack.tokens: unknown field; there is a.tokens and b.tokens"}},
		{"a key of a mapping below", "a: {webhook_url: hunter2}\n", []string{"test.yaml:1:5: a.webhook_url: unknown field; there is a.slack.webhook_url"}},
		{"a key in a list", "a:\n  sources:\n    - name: x\n    - {nam: y}\n", []string{"test.yaml:4:8: a.sources[1].nam: unknown field; the nearest is a.sources[1].name"}},
		{"a key of a mapping below, in the same item", "a:\n  sources:\n    - {name: x}\n    - {username: u}\n", []string{"test.yaml:4:8: a.sources[1].username: unknown field; there is a.sources[1].basic.username"}},
		{"a key of a list below", "a: {basic: {username: u}}\n", []string{"test.yaml:1:5: a.basic: unknown field; there is a.sources[].basic"}},
		{"octal and hexadecimal that are none", "a: {limit: 0o8}\nb: {limit: 0xG}\n", []string{`a.limit: "0o8" is not a whole number`, `b.limit: "0xG" is not a whole number`}},
		{"no unit", "a: {timeout: 15}", []string{`test.yaml:1:14: a.timeout: "15" has no unit: write 15s or 15m`}},
		{"unknown unit", "a: {timeout: 15y}", []string{`test.yaml:1:14: a.timeout: "15y" is not a duration: want numbers with the units ms, s, m, h, d or w, as 15s or 1h30m`}},
		{"sexagesimal", "a: {timeout: 1:30, limit: 1:30}", []string{`a.timeout: "1:30" is not a duration`, `a.limit: "1:30" is not a whole number`}},
		{"size of two meanings", "a: {body: 4M}", []string{`test.yaml:1:11: a.body: "4M" has a unit of two meanings: write 4MiB or 4MB`}},
		{"size", "a: {body: lots}", []string{`test.yaml:1:11: a.body: "lots" is not a size: want a number with the unit B, KiB, MiB or GiB`}},
		{"number", "a: {limit: hunter2}\n", []string{`test.yaml:1:12: a.limit: "hunter2" is not a whole number`}},
		{"octal", "a: {limit: 010}\n", []string{`test.yaml:1:12: a.limit: "010" may be decimal or octal`}},
		{"fraction", "a: {limit: 1.5}\n", []string{`a.limit: "1.5" is not a whole number`}},
		{"too large", "a: {limit: 99999999999999999999}\n", []string{`a.limit: "99999999999999999999" is too large`}},
		{"boolean of YAML 1.1", "a: {on: yes}\n", []string{`test.yaml:1:9: a.on: "yes" is not true or false`}},
		{"mapping for a value", "a: {listen: {x: y}}\n", []string{"test.yaml:1:13: a.listen: is a mapping: want text"}},
		{"value for a section", "a: hunter2\n", []string{"test.yaml:1:4: a: is a single value: want a mapping with some of listen, timeout"}},
		{"list for a section", "a: [1]\n", []string{"test.yaml:1:4: a: is a list: want a mapping"}},
		{"nothing in a list", "a: {tokens: [x, ]}\nb: {tokens: [~]}\n", []string{"test.yaml:2:14: b.tokens[0]: is empty: want a secret"}},
		{"secret of a wrong kind", "a:\n  tokens: [{hunter2: 1}]\n", []string{"test.yaml:2:12: a.tokens[0]: is a mapping: want a secret, env:NAME, file:PATH or the text itself"}},
		{"no sections", "- a\n", []string{"test.yaml:1:1: is a list: want sections"}},
		{"key twice", "a:\n  limit: 1\n  on: true\n  limit: 2\n", []string{"test.yaml:4:3: a.limit: is set twice, first in line 2"}},
		{"section twice", "a: {}\na: {}\n", []string{"test.yaml:2:1: a: is set twice, first in line 1"}},
		{"key that is no name", "a: {[1]: 2}\n", []string{"a.?: a key is a list: want a name"}},
		{"foreign tag", "a: {listen: !hunter2 x, tokens: !!binary x}\n", []string{"test.yaml:1:13: a.listen: a tag has no meaning here", "a.tokens: a tag"}},
		{"merge of a value", "a: {<<: 1}\n", []string{"a.<<: is a single value: want a mapping"}},
		{"not closed", "a: [hunter2\n", []string{"parse test.yaml:2:1: did not find expected"}},
		{"two documents", "a: {}\n---\nb: {}\n", []string{"parse test.yaml:3:1: a second document begins here"}},
		{"tab indentation", "a:\n\tlimit: 1\n", []string{"parse test.yaml:2:1: a tab cannot indent: use spaces"}},
		{"text with a sign", "a: {tokens: [@hunter2]}\n", []string{"parse test.yaml:1:14: text that begins with @ needs quotes"}},
		{"alias of nothing", "a: {tokens: [*hunter2]}\n", []string{"parse test.yaml:1:14: an alias has no anchor before it: text that begins with * needs quotes"}},
		{"not UTF-8", "a: {}\nb: {listen: \xe4}\n", []string{"parse test.yaml:2:13: is not UTF-8"}},
		{"UTF-16", "\xff\xfea\x00:\x00", []string{"parse test.yaml:1:1: is not UTF-8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, tc.yaml)
			for _, want := range tc.want {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("want %s, got:\n%v", want, err)
				}
			}
			for _, never := range []string{"hunter2", "config.", "time.", "int64", "struct", "reflect", "main."} {
				if strings.Contains(fmt.Sprint(err), never) && tc.name != "number" {
					t.Errorf("%s is in:\n%v", never, err)
				}
			}
		})
	}
}

// What follows from a fault is not reported as another one.
func TestLoad_TellsNoFaultTwice(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "a: {timeout: 0, tmeout: 15s, body: 9x}\n", "MAILSTREAM_B_TIMEOUT=15")
	var got []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		"configuration has 3 faults:",
		"test.yaml:1:17: a.tmeout: unknown field; the nearest is a.timeout",
		`test.yaml:1:36: a.body: "9x" is not a size: want a number with the unit B, KiB, MiB or GiB (KB, MB and GB are thousands)`,
		`MAILSTREAM_B_TIMEOUT: b.timeout: "15" has no unit: write 15s or 15m`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_BoundsWhatAliasesStandFor(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("x-0: &x0 [a, a, a, a, a, a, a, a, a, a]\n")
	for i := range 9 {
		fmt.Fprintf(&laughs, "x-%d: &x%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i), 10), ", "))
	}
	var merges strings.Builder
	merges.WriteString("x-0: &x0 {limit: 1}\n")
	for i := range 12 {
		fmt.Fprintf(&merges, "x-%d: &x%d {<<: [%s]}\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i), 10), ", "))
	}
	for _, tc := range []struct{ name, yaml string }{
		{"billions of values", laughs.String() + "a: {tokens: *x9}\n"},
		{"itself", "a: {tokens: &x [*x]}\n"},
		{"itself as a section", "a: &x {slack: *x}\n"},
		{"itself merged", "a: &x {<<: *x}\n"},
		{"billions of merges", merges.String() + "a: {<<: *x12}\n"},
		{"deep", "a: {tokens: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := load(t, tc.yaml); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

func TestLoad_NamesTheVariable(t *testing.T) {
	t.Parallel()
	_, unused, err := load(t, "a: {limit: 1}\n", "MAILSTREAM_A_LIMIT=010", "MAILSTREAM_A_SOURCES=[{nam: x}, {name: [y]}]", "MAILSTREAM_B_TOKENS=[x",
		"MAILSTREAM_B_BODY=2GiB", "MAILSTREAM_B_LISTN=x")
	for _, want := range []string{
		`MAILSTREAM_A_LIMIT: a.limit: "010" may be decimal or octal`,
		"MAILSTREAM_A_SOURCES:1:3: a.sources[0].nam: unknown field; the nearest is a.sources[0].name",
		"MAILSTREAM_A_SOURCES:1:19: a.sources[1].name: is a list: want text",
		"b.tokens: parse MAILSTREAM_B_TOKENS:2:1: did not find expected",
		"MAILSTREAM_B_BODY: b.body: 2GiB is above 1GiB",
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("want %s in:\n%v", want, err)
		}
	}
	if diff := cmp.Diff([]string{"MAILSTREAM_B_LISTN sets no field and is ignored; the nearest is MAILSTREAM_B_LISTEN"}, unused); diff != "" {
		t.Error(diff)
	}
}

func TestParseDuration_ReadsDaysAndWeeks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "7d": 168 * time.Hour, "1w": 168 * time.Hour,
		"1.5d": 36 * time.Hour, "1d12h": 36 * time.Hour, "15 m": 15 * time.Minute, "1h 30m": 90 * time.Minute, "-1s": -time.Second, "336h0m0s": 336 * time.Hour, "2us": 2 * time.Microsecond,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "s", "1", "1.5", "1x", "1h30", "1..5s", "300000000000h", "99999999999999999999s", "15M", "1d-", "1e3s"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestParseByteSize_ReadsUnitsOfOneMeaning(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.ByteSize{
		"0": 0, "1000": 1000, "1_000": 1000, "4MiB": 4 * config.MiB, "4 MiB": 4 * config.MiB, "4mib": 4 * config.MiB, "1.5KiB": 1536,
		"4MB": 4_000_000, "4 MB": 4_000_000, "1GB": 1e9, "2 GiB": 2 * config.GiB, "10kB": 10_000, "7B": 7,
	} {
		if got, err := config.ParseByteSize(text); err != nil || got != want {
			t.Errorf("%s = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "4M", "4 K", "4g", "-1", "MiB", "4MiBs", "4Mbit", "1MiB2", "9999999999GiB", "1..5KiB", "1e3"} {
		if got, err := config.ParseByteSize(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

// FuzzLoad reads anything as a configuration, and what it prints again.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"a: {tokens: !!str 123}", "a: {tokens: [x], sources: [{basic: {password: !!int 4}}]}", "a: &x {limit: 1}\nb: *x", "\x00", "a: !!binary =",
		"a: &x {<<: *x}", "a: {<<: [{limit: 1}, {on: true}]}", "? [a]\n: b", "a: {timeout: 1d, body: 4 MB}", "%YAML 1.2\n---\na:", "a: [", "- \ta", "a: {limit: 0_1}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := config.Source{File: []byte(text), Name: "test.yaml", ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist }}
		cfg := defaults()
		if _, err := config.Load(&cfg, defaults(), src); err != nil {
			return
		}
		printed, err := config.Print(cfg)
		if err != nil {
			t.Fatal(err)
		}
		src.File = []byte(printed)
		again := defaults()
		if _, err := config.Load(&again, defaults(), src); err != nil {
			t.Fatalf("does not read what it prints: %v\n%s", err, printed)
		}
		if twice, err := config.Print(again); err != nil || twice != printed {
			t.Fatalf("printed %s, then %s, %v", printed, twice, err)
		}
	})
}

func FuzzParseByteSize(f *testing.F) {
	for _, s := range []string{"1", "4MiB", "9223372036854775807", "99999999GiB", "-1", "1.5KiB", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := config.ParseByteSize(s)
		if err != nil {
			return
		}
		if b < 0 {
			t.Fatalf("%q is %d", s, b)
		}
		if again, err := config.ParseByteSize(b.String()); err != nil || again != b {
			t.Fatalf("%q prints as %s, which reads as %s, %v", s, b, again, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1d12h", "1.5h", "-1s", "0", "15", "9223372036854775807ns", "1w1d1h1m1s1ms1us1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := config.ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := config.ParseDuration(config.FormatDuration(d)); err != nil || again != d {
			t.Fatalf("%q is %d and prints as %s, which reads as %d, %v", s, d, config.FormatDuration(d), again, err)
		}
	})
}
