package deploytest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// private are words that were ours for what the field or the glossary calls
// otherwise: notified or reported, unknown peer, recreated, set of partitions, is. What is
// in quotes is a published label or key, and stays, as does the field Lanes of a mark.
var private = regexp.MustCompile(`(?i)\b(?:told|strangers?|remade|tellers?|lanes?|lanestate|stands? (?:still|there|at|behind|among))\b`)

var fixed = regexp.MustCompile("\"[^\"]*\"|`[^`]*`|\\bmark\\.Lanes\\b")

// privateIn returns the first private word of a line of code.
func privateIn(line string) string { return private.FindString(fixed.ReplaceAllString(line, "")) }

// source returns what the services and the contract have in files that are no tests.
func source(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"schemas", "services"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			files[path] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestGlossary_ItsWordsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, text := range source(t) {
		all.WriteString(text)
	}
	code := all.String()
	used := func(term string) bool { // a word of a comment, or a part of an identifier
		words := regexp.QuoteMeta(strings.TrimSpace(term))
		return regexp.MustCompile(`(?i)(?:\b|_)` + strings.ReplaceAll(words, " ", `(?:\s+(?://\s*)?|_?)`)).MatchString(code)
	}
	if used("zymurgy") || !used("mailbox provider") {
		t.Fatal("the search finds what is not there, or misses what is")
	}
	terms := 0
	for line := range strings.Lines(readFile(t, "docs/glossary.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.Contains(cells[1], "---") || strings.TrimSpace(cells[1]) == "word" {
			continue
		}
		for term := range strings.SplitSeq(cells[1], ",") {
			terms++
			if !used(term) {
				t.Errorf("%q is in the glossary and not in the code", strings.TrimSpace(term))
			}
		}
	}
	if terms < 20 {
		t.Errorf("the glossary has %d terms", terms)
	}
}

func TestGlossary_PrivateWordsAreNotInTheCode(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"// nobody is told of it": "told", `Unknown Share = "strangers"`: "", "func f(strangers int)": "strangers", "// Told says": "Told",
		"// it stands there": "stands there", "// hook stands for an ingress": "",
	} {
		if got := privateIn(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for path, text := range source(t) {
		for n, line := range strings.Split(text, "\n") {
			if word := privateIn(line); word != "" && !strings.HasSuffix(path, "schemas/record.go") { // declares Lanes
				t.Errorf("%s:%d: %q; see docs/glossary.md for the word that is used", path, n+1, word)
			}
		}
	}
}

// unidiomatic are forms of messages that only we used: "%q is no level" for "is not a
// level", "is none of a, b" for "is not one of a, b".
var unidiomatic = regexp.MustCompile(`(?i)\b(?:is|are|was|were) (?:none of|no [a-z]+)|\bthere twice\b`)

// idiomatic is what the pattern finds, too, and English has.
var idiomatic = regexp.MustCompile(`(?i)\b(?:there (?:is|are) no|(?:is|are) no longer)\b`)

// goldenMessages are in the golden files of dead letters.
var goldenMessages = []string{"events is no array", "mandrill_events is there twice"}

// unidiomaticIn returns the first such form in the text of a line of code.
func unidiomaticIn(line string) string {
	for _, text := range regexp.MustCompile("\"[^\"]*\"|`[^`]*`").FindAllString(line, -1) {
		if slices.Contains(goldenMessages, strings.Trim(text, "\"")) {
			continue
		}
		if found := unidiomatic.FindString(idiomatic.ReplaceAllString(text, "")); found != "" {
			return found
		}
	}
	return ""
}

func TestMessages_SayIsNotOneOf(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`"%q is none of a, b"`: "is none of", `"%q is no level"`: "is no level", "`is there twice`": "there twice",
		`"there is no silence of this id"`: "", `"it is no longer watched"`: "", `x := 1 // what is no JSON`: "", `"events is no array"`: "",
	} {
		if got := unidiomaticIn(line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for path, text := range source(t) {
		for n, line := range strings.Split(text, "\n") {
			if form := unidiomaticIn(line); form != "" {
				t.Errorf("%s:%d: a message says %q: say \"is not a ...\" or \"is not one of ...\"", path, n+1, form)
			}
		}
	}
}
