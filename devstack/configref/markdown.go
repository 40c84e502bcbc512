package configref

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/services/pipeline"
)

//go:generate go run ../cmd/configgen ../.. ../../docs/configuration.md

// preface is the text before the tables.
const preface = `# Configuration

Every field of the one YAML file, from the comments in the code; tests hold each default and range against what the program does. The file has a section a service; a section that is left out takes its defaults, and every program reads only the sections it needs. How the parts work together is in [operations.md](operations.md).

- **Order**: default, then file, then environment. Every field outside a list or mapping has a variable, ` + "`MAILSTREAM_` and its path in capitals" + `; lists of single values are written with commas there (` + "`MAILSTREAM_KAFKA_BROKERS=a:9092,b:9092`" + `), everything else as YAML.
- **Secrets** are ` + "`env:NAME`, `file:PATH`" + ` or the text itself, and print as ` + "`<set>`" + `. Those that are published with Mailstream, blank and short ones are refused where a service listens beyond its host, unless ` + "`mode: development`" + `.
- **Durations** have the units ns, us, ms, s, m, h, d (24 h) and w: ` + "`500ms`, `1h30m`, `14d`" + `. **Sizes** have B, KiB, MiB, GiB, or KB, MB, GB for thousands.
- **Lists** of single values may be one value alone. Anchors, aliases and merge keys work; top-level keys that begin with ` + "`x-`" + ` are left alone to hold them.
- **Check** with ` + "`mailstream ingress --config FILE --check-config`" + `, a command a service: it does what a start does up to the first connection, prints the result, or lists every fault with its place.
- **A change takes effect with a restart** of the services that read the field (rolling, one at a time). Only secrets of receivers that are files (` + "`alerting.slack`, `alerting.receivers`" + `) are read while the program runs, every 5 s. Where more is needed the last column says so.
`

// effects say what a change needs beside a restart, by path; the longest path
// that begins a field's counts.
func effects() map[string]string {
	return map[string]string{
		"mode":                              "",
		"kafka.topic_prefix":                "`topics apply`; the old topics stay, with what is in them",
		"kafka.group_prefix":                "everything is reread from the beginning",
		"kafka.topics":                      "`topics apply --force`",
		"kafka.topics.partitions":           "new topics: the number cannot be changed in place",
		"kafka.topics.replication_factor":   "Kafka's own tools: the number cannot be changed in place",
		"clickhouse.database":               "`migrate`; the old tables stay",
		"clickhouse.cluster":                "`migrate` of a new database",
		"privacy.pepper":                    "never: choose it once",
		"state.dir":                         "the folder is rebuilt from Kafka",
		"analytics.retention":               "`migrate`",
		"analytics.engagement":              "`migrate`",
		"ingress.sources[].generic.types":   "`topics apply` for a new webhook:NAME",
		"ingress.sources[].name":            "the URL at the provider; events of another name are another source's",
		"alerting.rules[].name":             "alerts of the old name end unseen",
		"suppression.listen":                "",
		"suppression.hard_bounce_probation": "entries that are there keep their end",
	}
}

// effect returns what a change of path needs beside a restart.
func effect(path string) string {
	best, text := "", ""
	for known, what := range effects() {
		if (path == known || strings.HasPrefix(path, known+".")) && len(known) > len(best) {
			best, text = known, what
		}
	}
	return text
}

// Markdown returns docs/configuration.md.
func Markdown(entries []Entry) []byte {
	var b bytes.Buffer
	b.WriteString(preface)
	for _, e := range entries {
		section, _, below := strings.Cut(e.Path, ".")
		if !below {
			fmt.Fprintf(&b, "\n## %s\n\n", section)
			if e.Kind == "" {
				fmt.Fprintf(&b, "%s Read by %s.\n\n", sentence(e), names(e.ReadBy))
			}
			b.WriteString("| field | type | default | range | variable | meaning | a change also needs |\n|---|---|---|---|---|---|---|\n")
		}
		if e.Kind != "" {
			row(&b, e)
		} else if below {
			fmt.Fprintf(&b, "| **`%s`** | | | | | %s | |\n", e.Path, cell(sentence(e)))
		}
	}
	return b.Bytes()
}

func row(b *bytes.Buffer, e Entry) {
	value := e.Value
	switch {
	case e.Required:
		value = "required"
	case e.Default == "by provider":
		value = e.Default
	case value == "" || value == "0s" && e.Default == "none":
		value = "none"
	default:
		value = "`" + value + "`"
	}
	bounds := ""
	if r := e.Range; r != nil {
		bounds = r.String()
	}
	variable := ""
	if e.Variable != "" {
		variable = "`" + e.Variable + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", e.Path, e.Kind, value, bounds, variable, cell(sentence(e)), effect(e.Path))
}

// String returns the range as it is written in the comment.
func (r Range) String() string {
	open, end := "[", "]"
	if r.LowOpen {
		open = "("
	}
	if r.HighOpen {
		end = ")"
	}
	text := open + r.Low + ", " + r.High + end
	if r.Or != "" {
		text += " or " + r.Or
	}
	return text
}

var (
	// inColumns matches the parts of a comment that have their own column.
	inColumns = regexp.MustCompile(`\s*\b(?:Default ("[^"]*"|\[[^\]]*\]|[^\s.,:;]+(?:[.:,][^\s.,:;]+)*)\.|Default by (?:service|reason)\.|Range [\[(][^,\])]+, [^\])]+[\])](?: or [^\s.]+)?\.|Required\.)`)
)

func sentence(e Entry) string { return strings.TrimSpace(inColumns.ReplaceAllString(e.Comment, "")) }

// cell makes text fit into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func names(list []pipeline.Name) string {
	var words []string
	for _, name := range list {
		word := string(name)
		if name == pipeline.Topics {
			word = "topics apply"
		}
		words = append(words, "`"+word+"`")
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
