package tidy

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// targetsMax is how many targets the Makefile may have: what fits in a head.
const targetsMax = 16

// wordingFile is this file.
const wordingFile = "devstack/tidy/text.go"

// phrase is wording that does not belong in the repository.
type phrase struct {
	pattern *regexp.Regexp // its one group is what the problem quotes
	why     string
	tests   bool // unwanted in test files as well
}

// phrases lists the wording. It is matched against every line of text but those of
// this file, which name it.
func phrases() []phrase {
	return []phrase{
		{regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`), "a reminder; do it or open an issue", true},
		{regexp.MustCompile(`(//lint:ignore)`), "nothing here reads it; write //nolint:LINTER // reason", true},
		{regexp.MustCompile(`(?:^|[^\w.\-])(/(?:work|root|tmp)/)`), "a path of one machine", false},
		{regexp.MustCompile(`(?i)\b(registry\.npmjs\.org|registry\.yarnpkg\.com|registry\.npmmirror\.com|proxy\.golang\.org|sum\.golang\.org|goproxy\.(?:io|cn)|repo1?\.maven\.(?:org|apache\.org)|pypi\.org|files\.pythonhosted\.org|(?:deb|security)\.debian\.org)\b`), "a registry's host; the client's configuration says which registry", true},
		{regexp.MustCompile(`(?i)\b(claude|chatgpt|copilot|openai|anthropic|gpt-?[0-9]|llms?|language models?|ai[- ](?:assistants?|agents?|generated|models?)|coding agents?|sub-?agents?|(?:this|that|another|previous|next|earlier|later|my|our) session|(?:the|my|your|this) brief (?:says|asks|gives|wants)|(?:house-style|common)\.md)\b`), "speaks of how the project was written, not of the project", true},
	}
}

// checkText holds prose and configuration to what is true and lasting.
func checkText(t *tree, rep *report) {
	wording := phrases()
	targets := t.makeTargets(rep)
	for _, text := range t.texts {
		for i, line := range text.lines {
			for _, p := range wording {
				if text.path == wordingFile || !p.tests && strings.HasSuffix(text.path, "_test.go") {
					continue
				}
				if m := p.pattern.FindStringSubmatch(line); m != nil {
					rep.add(text.path, i+1, "%q: %s", m[1], p.why)
				}
			}
		}
		switch path.Ext(text.path) {
		case ".md":
			t.checkMarkdown(text, targets, rep)
		case ".go", ".sql", ".yaml", ".yml":
			t.checkReferences(text, rep)
		}
	}
}

// makeLine matches a target of the Makefile and its comment.
var makeLine = regexp.MustCompile(`^([a-z][a-z-]*):(?:[^=]|$)(.*)`)

// makeTargets lists the Makefile's targets and asks for few, each explained.
func (t *tree) makeTargets(rep *report) map[string]bool {
	targets := map[string]bool{}
	for _, text := range t.texts {
		if text.path != "Makefile" {
			continue
		}
		for i, line := range text.lines {
			m := makeLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			targets[m[1]] = true
			if !strings.Contains(line, "## ") {
				rep.add(text.path, i+1, "target %s has no ## comment for make help", m[1])
			}
			if len(targets) == targetsMax+1 {
				rep.add(text.path, i+1, "more than %d targets", targetsMax)
			}
		}
	}
	return targets
}

var (
	// mdLink matches the target of an inline link or image.
	mdLink = regexp.MustCompile(`\]\(<?([^)\s>]+)>?[^)]*\)`)
	// mdMake matches a command that runs a target.
	mdMake = regexp.MustCompile("(?:^|[`$&;(]\\s*)make ([a-z][a-z-]*)")
	// mdRef matches the name of a Markdown file in running text, and the
	// scheme of a URL when it is part of one.
	mdRef = regexp.MustCompile(`(?:\w+://[^\s"')]*)?[\w./-]*\w\.md\b`)
)

// checkMarkdown asks for one title, links that lead somewhere, and commands
// that exist.
func (t *tree) checkMarkdown(text textFile, targets map[string]bool, rep *report) {
	titles, fenced := 0, false
	for i, line := range text.lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		for _, m := range mdMake.FindAllStringSubmatch(line, -1) {
			if !targets[m[1]] {
				rep.add(text.path, i+1, "`make %s` is no target", m[1])
			}
		}
		if fenced {
			continue
		}
		if strings.HasPrefix(line, "# ") {
			if titles++; titles > 1 {
				rep.add(text.path, i+1, "a second title; a document has one")
			}
		}
		for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
			if !t.linkExists(text.path, m[1]) {
				rep.add(text.path, i+1, "the link to %s leads nowhere", m[1])
			}
		}
	}
	if titles == 0 {
		rep.add(text.path, 1, "no title; a document starts with one `# ` line")
	}
	if fenced {
		rep.add(text.path, len(text.lines), "a code block is not closed")
	}
}

// linkExists says whether a relative link leads to a file or folder.
func (t *tree) linkExists(from, link string) bool {
	link, _, _ = strings.Cut(link, "#")
	if link == "" || strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return true
	}
	full := filepath.Join(t.root, filepath.FromSlash(path.Join(path.Dir(from), link)))
	_, err := os.Stat(full)
	return err == nil
}

// checkReferences asks that a document named in a comment exists.
func (t *tree) checkReferences(text textFile, rep *report) {
	for i, line := range text.lines {
		for _, ref := range mdRef.FindAllString(line, -1) {
			if !strings.Contains(ref, "://") && !t.documentExists(ref) {
				rep.add(text.path, i+1, "speaks of %s, which is not in the repository", ref)
			}
		}
	}
}

// documentExists says whether some file's path ends in ref.
func (t *tree) documentExists(ref string) bool {
	ref = strings.TrimLeft(ref, "./")
	for _, p := range t.paths {
		if p == ref || strings.HasSuffix(p, "/"+ref) {
			return true
		}
	}
	return false
}
