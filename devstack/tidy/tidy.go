// Package tidy holds the repository to the rules that no ready-made linter has:
// what may be at the root, what a log line, an error or a metric may say, where
// offsets are committed. It reads the source tree with go/parser and reports every
// breach by file, line and rule; RULES.md has the rules in words.
//
// It guarantees that a rule it knows cannot be broken silently: each has a tree
// under testdata that breaks it, and there are no exceptions but those a rule has in
// its words. It does not resolve types, fix anything, or replace the linters of
// .golangci.yaml.
package tidy

import (
	"cmp"
	"fmt"
	"slices"
)

// Problem is one breach of one rule.
type Problem struct {
	// File is relative to the root of the repository, with slashes.
	File string
	// Line counts from 1.
	Line int
	// Text says what is wrong and how to correct it.
	Text string
	// Rule is the number in RULES.md.
	Rule int
}

// String formats p as `file:line: text (rule N)`, which editors can follow.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: %s (rule %d)", p.File, p.Line, p.Text, p.Rule)
}

// rule is one numbered rule and the function that finds its breaches.
type rule struct {
	number int
	check  func(*tree, *report)
}

// rules lists every rule a program holds, in the order of RULES.md.
func rules() []rule {
	return []rule{
		{1, checkRoot},
		{2, checkModules},
		{6, checkPackageNames},
		{10, checkParams},
		{13, checkErrors},
		{14, checkErrorMatching},
		{15, checkConstructors},
		{16, checkChannels},
		{17, checkCommitSite},
		{18, checkSQL},
		{19, checkMetrics},
		{20, checkLogs},
		{21, checkDocs},
		{22, checkTests},
		{25, checkText},
	}
}

// report collects the breaches of the rule that is being checked.
type report struct {
	rule     int
	problems []Problem
}

// add records a breach at a line of a file.
func (r *report) add(file string, line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: file, Line: line, Text: fmt.Sprintf(format, args...), Rule: r.rule,
	})
}

// Check reads the repository at root and returns every breach, ordered by file
// and line. The error is about reading; a file
// that does not parse as Go is left to the compiler.
func Check(root string) ([]Problem, error) {
	t, err := load(root)
	if err != nil {
		return nil, fmt.Errorf("read tree %q: %w", root, err)
	}
	rep := &report{}
	for _, r := range rules() {
		rep.rule = r.number
		r.check(t, rep)
	}
	slices.SortStableFunc(rep.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return rep.problems, nil
}
