package generic

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// target is what a word means.
type target struct {
	kind   schemas.Type
	bounce schemas.BounceType
	person bool // it happened to a message or a recipient
}

// targets reads what the words for what happened mean.
func (b *builder) targets(v *Provider, c Config) {
	words(b, "types", c.Types)
	b.check(len(c.Webhooks()) <= webhooksMax, "types", "%d names after webhook:, want at most %d", len(c.Webhooks()), webhooksMax)
	v.types = make(map[string]target, len(c.Types))
	for _, word := range slices.Sorted(maps.Keys(c.Types)) {
		t, err := b.target(c.Types[word])
		b.check(err == nil, "types."+word, "%v", err)
		v.types[strings.ToLower(word)] = t
	}
	if len(c.Types) == 0 && c.Otherwise == "" {
		for _, t := range schemas.Types() {
			v.types[string(t)] = target{kind: t, person: t != schemas.Other}
		}
	}
	v.otherwise, v.strict = target{kind: schemas.Other}, c.Otherwise == ""
	if c.Otherwise != "" {
		t, err := b.target(c.Otherwise)
		b.check(err == nil, "otherwise", "%v", err)
		v.otherwise = t
	}
}

func (b *builder) target(text string) (target, error) {
	if name, ok := strings.CutPrefix(text, webhookPrefix); ok {
		if !webhookName.MatchString(name) {
			return target{}, fmt.Errorf("%q: a name is 1 to 64 of a-z, 0-9, '-', '_'", text)
		}
		t := TypeOf(b.source, name)
		if len(t) > topicBytesMax/2 { // leaves room for a prefix
			return target{}, fmt.Errorf("%q makes a topic of %d bytes: more than %d", text, len(t), topicBytesMax/2)
		}
		return target{kind: t}, nil
	}
	word, bounce, split := strings.Cut(text, "/")
	t := schemas.Type(word)
	ok := slices.Contains(schemas.Types(), t)
	if split {
		ok = t == schemas.Bounced && (bounce == string(schemas.Hard) || bounce == string(schemas.Soft))
	}
	if !ok {
		return target{}, fmt.Errorf("%q is not one of %q, bounced/hard, bounced/soft, webhook:NAME", text, schemas.Types())
	}
	return target{kind: t, bounce: schemas.BounceType(bounce), person: t != schemas.Other}, nil
}

// classes reads which reasons the words for a failure mean.
func (b *builder) classes(v *Provider, c Config) {
	b.check(len(c.Classes) == 0 || c.Class != "", "classes", "needs class, the place of these words in an item")
	words(b, "classes", c.Classes)
	v.classes = make(map[string]schemas.Reason, len(c.Classes))
	for _, word := range slices.Sorted(maps.Keys(c.Classes)) {
		reason := c.Classes[word]
		b.check(slices.Contains(schemas.Reasons(), reason), "classes."+word, "%q is not one of %q", reason, schemas.Reasons())
		v.classes[strings.ToLower(word)] = reason
	}
	if len(c.Classes) == 0 {
		for _, reason := range schemas.Reasons() {
			v.classes[string(reason)] = reason
		}
	}
}

// words checks the keys of a table, which is asked without regard to case.
func words[V any](b *builder, field string, table map[string]V) {
	b.check(len(table) <= wordsMax, field, "%d words, want at most %d", len(table), wordsMax)
	seen := make(map[string]string, len(table))
	for _, word := range slices.Sorted(maps.Keys(table)) {
		lower := strings.ToLower(word)
		b.check(seen[lower] == "", field+"."+word, "differs from %q by its case only", seen[lower])
		seen[lower] = word
	}
}
