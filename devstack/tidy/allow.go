package tidy

import (
	"fmt"
	"strconv"
	"strings"
)

// allowFile is the list of exceptions, relative to the root.
const allowFile = "devstack/tidy/allow.txt"

// reasonWordsMin is how many words an exception must give as its reason. Two
// words name a thing; a reason needs a verb.
const reasonWordsMin = 3

// exception excuses the problems of one rule in one file or tree.
type exception struct {
	line int
	rule int
	path string // a file, or a tree when it ends in "/..."
	text string // a part of the problem's text; "*" matches every text
	used bool
}

// excuses says whether e covers p.
func (e *exception) excuses(p Problem) bool {
	if e.rule != p.Rule {
		return false
	}
	if dir, ok := strings.CutSuffix(e.path, "/..."); ok {
		if !in(p.File, dir) {
			return false
		}
	} else if e.path != p.File {
		return false
	}
	return e.text == "*" || strings.Contains(p.Text, e.text)
}

// parseException reads `rule path | text | reason`.
func parseException(line string) (exception, error) {
	fields := strings.Split(line, " | ")
	if len(fields) != 3 {
		return exception{}, fmt.Errorf("want `rule path | text | reason`, have %d fields", len(fields))
	}
	number, file, _ := strings.Cut(strings.TrimSpace(fields[0]), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return exception{}, fmt.Errorf("rule %q is no number", number)
	}
	if len(strings.Fields(fields[2])) < reasonWordsMin {
		return exception{}, fmt.Errorf("the exception needs a reason of at least %d words", reasonWordsMin)
	}
	return exception{rule: n, path: strings.TrimSpace(file), text: strings.TrimSpace(fields[1])}, nil
}

// excuse removes the problems that an exception covers and adds one for each
// line of the list that is malformed or no longer needed.
func excuse(t *tree, problems []Problem) []Problem {
	var exceptions []*exception
	var kept []Problem
	for _, text := range t.texts {
		if text.path != allowFile {
			continue
		}
		for i, line := range text.lines {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			e, err := parseException(line)
			if err != nil {
				kept = append(kept, Problem{File: allowFile, Line: i + 1, Text: err.Error(), Rule: 25})
				continue
			}
			e.line = i + 1
			exceptions = append(exceptions, &e)
		}
	}
	for _, p := range problems {
		if !excused(exceptions, p) {
			kept = append(kept, p)
		}
	}
	for _, e := range exceptions {
		if !e.used {
			kept = append(kept, Problem{File: allowFile, Line: e.line, Text: "the exception excuses nothing; remove it", Rule: 25})
		}
	}
	return kept
}

// excused marks every exception that covers p, so that two for one problem do
// not make each other look unused.
func excused(exceptions []*exception, p Problem) bool {
	found := false
	for _, e := range exceptions {
		if e.excuses(p) {
			e.used, found = true, true
		}
	}
	return found
}
