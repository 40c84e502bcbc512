package configref

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
)

// root is the top of the repository.
const root = "../.."

func read(t *testing.T) []Entry {
	t.Helper()
	entries, err := Read(root, pipeline.Default())
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func isNumber(e Entry) bool { return e.Kind == "number" || e.Kind == "duration" || e.Kind == "size" }

func TestComments_SayMeaningDefaultAndRange(t *testing.T) {
	t.Parallel()
	variables := map[string]string{}
	for _, e := range read(t) {
		if e.Comment == "" {
			t.Errorf("%s: the field %s.%s has no comment", e.Path, e.Struct, e.Field)
		}
		if e.Kind == "" {
			continue
		}
		if (e.Default == "") == !e.Required {
			t.Errorf("%s: the comment says neither \"Default X.\" nor \"Required.\": %s", e.Path, e.Comment)
		}
		if isNumber(e) && e.Range == nil {
			t.Errorf("%s: the comment says no \"Range [a, b].\": %s", e.Path, e.Comment)
		}
		if other, taken := variables[e.Variable]; taken && e.Variable != "" {
			t.Errorf("%s and %s are set by the same variable %s", other, e.Path, e.Variable)
		}
		variables[e.Variable] = e.Path
	}
}

func TestDefaults_AreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	for _, e := range read(t) {
		said := strings.Trim(e.Default, `"`)
		if e.Kind == "number" {
			said = strings.ReplaceAll(said, "_", "")
		}
		switch {
		case e.Kind == "" || said == "by provider":
		case said == "by service", said == "by reason":
			if e.Value == "" {
				t.Errorf("%s has no default", e.Path)
			}
		case e.Required || said == "none":
			// There is a built-in rule; and a duration of zero is refused.
			if e.Value != "" && e.Path != "alerting.rules[].name" && e.Path != "alerting.maintenance[].duration" {
				t.Errorf("%s is %s by default, its comment says there is none", e.Path, e.Value)
			}
		case said != e.Value:
			t.Errorf("%s is %s by default, its comment says %s", e.Path, e.Value, said)
		}
	}
}

// just is a small step of what e is: outside begins that near to the bound.
func just(e Entry, bound float64) float64 {
	if e.Kind == "number" && strings.Contains(e.Value, ".") {
		return 0.001
	}
	return max(1, math.Round(bound/1e6)) // a float has 15 digits
}

func TestRanges_AreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	probed := 0
	for _, e := range read(t) {
		if e.Kind == "" || e.Range == nil {
			continue
		}
		for _, bound := range []struct {
			text string
			open bool
			out  float64 // the direction of what is outside
		}{{e.Range.Low, e.Range.LowOpen, -1}, {e.Range.High, e.Range.HighOpen, 1}} {
			at, ok := quantity(t, e, bound.text)
			if !ok {
				continue
			}
			step := just(e, at) * bound.out
			in, out := at, at+step
			if bound.open {
				in, out = at-step, at
			}
			probed++
			if fault := load(e, in); fault != "" && !strings.Contains(fault, "in alerting.rules") && !boundByAnother(e, fault) {
				t.Errorf("%s %s: %v is inside, yet: %s", e.Path, e.Range, written(e, in), fault)
			}
			if fault := load(e, out); fault == "" {
				t.Errorf("%s %s: %v is outside and taken", e.Path, e.Range, written(e, out))
			}
		}
	}
	if probed < 100 {
		t.Errorf("%d bounds were tried", probed)
	}
}

// boundByAnother says whether fault names a field that the comment gives as a
// further bound.
func boundByAnother(e Entry, fault string) bool {
	for _, m := range regexp.MustCompile("(?:below|above)\\s+`([a-z_.]+)`").FindAllStringSubmatch(e.Comment, -1) {
		if strings.Contains(fault, " "+m[1]+" ") {
			return true
		}
	}
	return false
}

// quantity reads a bound; one that names another field is checked to do so.
func quantity(t *testing.T, e Entry, text string) (float64, bool) {
	t.Helper()
	if name := strings.Trim(text, "`"); strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		sibling := strings.TrimSuffix(e.Path, path.Ext(e.Path)) + "." + name
		for _, other := range read(t) {
			if other.Path == sibling {
				return 0, false
			}
		}
		t.Errorf("%s: there is no field %s for its bound", e.Path, sibling)
		return 0, false
	}
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzKMGB")
	units := map[string]float64{
		"": 1, "ns": 1, "ms": float64(time.Millisecond), "s": float64(time.Second), "m": float64(time.Minute), "h": float64(time.Hour), "d": 24 * float64(time.Hour),
		"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, "_", ""), 64)
	unit, known := units[text[len(number):]]
	if err != nil || !known {
		t.Errorf("%s: the bound %q is no quantity", e.Path, text)
	}
	return n * unit, err == nil && known
}

// written is a quantity as the file has it.
func written(e Entry, n float64) string {
	switch e.Kind {
	case "duration":
		return fmt.Sprintf("%dns", int64(n))
	case "size":
		return fmt.Sprintf("%dB", int64(n))
	default:
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
}

// load returns the fault that a value of e has, "" for none.
func load(e Entry, n float64) string {
	environ := []string{
		"MAILSTREAM_PRIVACY_PEPPER=0123456789abcdef", "MAILSTREAM_SUPPRESSION_TOKENS=0123456789abcdef",
		"MAILSTREAM_INGRESS_SOURCES=[{name: a, provider: mailgun, auth: {signing_keys: [0123456789abcdef]}}]",
		// What others are bound by is out of the way.
		"MAILSTREAM_KAFKA_TOPICS_DEAD_LETTER_BYTES_MAX=32MiB", "MAILSTREAM_INGRESS_PRODUCER_PUBLISH_TIMEOUT=1ms", "MAILSTREAM_INGRESS_PRODUCER_DELIVERY_TIMEOUT=1h",
	}
	field := strings.TrimPrefix(path.Ext(e.Path), ".")
	switch {
	case strings.HasPrefix(e.Path, "alerting.") && strings.Contains(e.Path, "[]."):
		list, field, _ := strings.Cut(strings.TrimPrefix(e.Path, "alerting."), "[].")
		value := written(e, n)
		if section, inner, ok := strings.Cut(field, "."); ok {
			field, value = section, fmt.Sprintf("{%s: %s}", inner, value)
		}
		name := "name: r, "
		if list == "routes" {
			name = ""
		}
		environ = append(environ, fmt.Sprintf("MAILSTREAM_ALERTING_%s=[{%s%s: %s}]", strings.ToUpper(list), name, field, value))
	case strings.HasPrefix(e.Path, "analytics.keep[]."):
		environ = append(environ, fmt.Sprintf("MAILSTREAM_ANALYTICS_KEEP=[{rows: sampled, %s: %s}]", field, written(e, n)))
	case strings.HasPrefix(e.Path, "ingress.sources[].auth."):
		environ = append(environ, fmt.Sprintf("MAILSTREAM_INGRESS_SOURCES=[{name: a, provider: mailgun, auth: {signing_keys: [0123456789abcdef], %s: %s}}]", field, written(e, n)))
	default: // the last of two that are alike counts
		environ = append(environ, e.Variable+"="+written(e, n))
	}
	_, _, err := pipeline.Load(pipeline.Input{Environ: environ})
	at := strings.ReplaceAll(e.Path, "[]", "[0]")
	for line := range strings.Lines(fmt.Sprint(err)) {
		if strings.Contains(line, " "+at+": ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestEffects_NameFields(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, e := range read(t) {
		known[e.Path] = true
	}
	for path := range effects() {
		if !known[path] {
			t.Errorf("there is no field %s", path)
		}
	}
}

func TestMarkdown_IsTheFileOfTheRepository(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(root + "/docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, Markdown(read(t))) {
		t.Error("docs/configuration.md is stale: make gen")
	}
}

func TestMarkdown_CutsOutWhatHasAColumn(t *testing.T) {
	t.Parallel()
	e := entry(pipeline.Setting{}, "Wait is how long; 0s is for ever. Default 0s. Range [1d, 365d] or 0s.")
	if e.Default != "0s" || e.Range == nil || e.Range.String() != "[1d, 365d] or 0s" || sentence(e) != "Wait is how long; 0s is for ever." {
		t.Errorf("%+v, range %v: %q", e, e.Range, sentence(e))
	}
	for _, e := range read(t) {
		if text := sentence(e); strings.Contains(text, "Range [") || strings.Contains(text, "`.") && !strings.HasSuffix(text, "`.") && !strings.Contains(text, "`. ") {
			t.Errorf("%s: %q is cut wrongly", e.Path, text)
		}
	}
}
