package classify

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"

	"github.com/mailstream/mailstream/schemas"
)

//go:embed classifier.yaml wordings.yaml blocklists.yaml
var dataFiles embed.FS

// file is classifier.yaml. An entry is a reason, how much it says, and whether it is
// a fact, as in "invalid_recipient fair" and "suppressed_bounce fact dead".
type file struct {
	Version  string            `yaml:"version"`
	Enhanced map[string]string `yaml:"enhanced"`
	Codes    map[int]string    `yaml:"codes"`
}

// wordingsFile is wordings.yaml.
type wordingsFile struct {
	Stop     []string                                        `yaml:"stop"`
	Classes  map[string][]string                             `yaml:"classes"`
	Wordings map[schemas.Reason]map[string]map[string]string `yaml:"wordings"`
}

// enhancedRange is an entry for several details of one subject.
type enhancedRange struct {
	class    int // 0: any
	subject  int
	from, to int
	entry    entry
}

func (r enhancedRange) holds(class, subject, detail int) bool {
	return (r.class == 0 || r.class == class) && r.subject == subject && detail >= r.from && detail <= r.to
}

// meets says whether some code is in both ranges.
func (r enhancedRange) meets(o enhancedRange) bool {
	return (r.class == 0 || o.class == 0 || r.class == o.class) && r.subject == o.subject && r.from <= o.to && o.from <= r.to
}

// New returns what the embedded data files say, and what classes does: of each
// provider a text in YAML, from its own words, in lower case, to entries. An error
// means that one of them is at fault. It takes some time, so do it once.
func New(classes map[string]string) (*Classifier, error) {
	var texts [3][]byte
	for i, name := range [...]string{"classifier.yaml", "wordings.yaml", "blocklists.yaml"} {
		text, err := dataFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
		texts[i] = text
	}
	c, err := parse(texts[0], texts[1], texts[2])
	if err != nil {
		return nil, err
	}
	for provider, text := range classes {
		if c.classes[provider], err = c.readClasses([]byte(text)); err != nil {
			return nil, fmt.Errorf("read the classes of %s: %w", provider, err)
		}
	}
	return c, nil
}

func parse(codes, wordings, lists []byte) (*Classifier, error) {
	c := &Classifier{reasons: schemas.Reasons(), grammar: newGrammar(), classes: map[string]map[string]entry{}, yes: true}
	if len(c.reasons) > reasonsMax {
		return nil, fmt.Errorf("more than %d reasons", reasonsMax)
	}
	for _, r := range c.reasons {
		cause := schemas.CauseOf(r)
		c.traits = append(c.traits, traits{
			cause:  cause,
			dead:   r == schemas.InvalidRecipient || r == schemas.MailboxInactive || r == schemas.DomainNotFound,
			passes: r == schemas.Timeout,
			spares: r != schemas.Policy && r != schemas.ProtocolError && (cause == schemas.CauseSender || cause == schemas.CauseContent),
		})
	}
	if err := c.readCodes(codes); err != nil {
		return nil, fmt.Errorf("read classifier.yaml: %w", err)
	}
	if err := c.readWordings(wordings); err != nil {
		return nil, fmt.Errorf("read wordings.yaml: %w", err)
	}
	if err := c.readLists(lists); err != nil {
		return nil, fmt.Errorf("read blocklists.yaml: %w", err)
	}
	c.grammar.freeze()
	return c, nil
}

func (c *Classifier) readCodes(text []byte) error {
	var f file
	if err := config.Decode("classifier.yaml", text, &f); err != nil {
		return err
	}
	if f.Version == "" {
		return fmt.Errorf("version is missing")
	}
	c.version = f.Version
	c.enhanced = make(map[string]entry, len(f.Enhanced))
	c.codes = make(map[int]entry, len(f.Codes))
	for code, words := range f.Codes {
		e, err := c.entry(words)
		if err != nil {
			return fmt.Errorf("code %d: %w", code, err)
		}
		c.codes[code] = e
	}
	return c.addEnhanced(f.Enhanced)
}

// readClasses reads the words of one provider.
func (c *Classifier) readClasses(text []byte) (map[string]entry, error) {
	var table map[string]string
	if err := config.Decode("classes.yaml", text, &table); err != nil {
		return nil, err
	}
	classes := make(map[string]entry, len(table))
	for class, words := range table {
		e, err := c.entry(words)
		if err != nil {
			return nil, fmt.Errorf("class %q: %w", class, err)
		}
		if class != folded(class) {
			return nil, fmt.Errorf("class %q is not in lower case", class)
		}
		classes[class] = e
	}
	return classes, nil
}

// addEnhanced sorts the keys "5.1.1" and "x.1.1" from the ranges "x.7.3-19".
func (c *Classifier) addEnhanced(table map[string]string) error {
	for key, words := range table {
		e, err := c.entry(words)
		if err != nil {
			return fmt.Errorf("enhanced code %q: %w", key, err)
		}
		start, last, isRange := strings.Cut(key, "-")
		_, subject, from, ok := splitEnhanced(strings.Replace(start, "x", "5", 1))
		if !ok {
			return fmt.Errorf("enhanced code %q is not class.subject.detail", key)
		}
		if !isRange {
			c.enhanced[key] = e
			continue
		}
		to, err := strconv.Atoi(last)
		if err != nil || to <= from {
			return fmt.Errorf("enhanced code %q is not a range", key)
		}
		r := enhancedRange{subject: subject, from: from, to: to, entry: e}
		if start[0] != 'x' {
			r.class = int(start[0] - '0')
		}
		if slices.ContainsFunc(c.ranges, r.meets) {
			return fmt.Errorf("enhanced code %q overlaps another range: remove or narrow one of them", key)
		}
		c.ranges = append(c.ranges, r)
	}
	return nil
}

// entry reads "reason level", "reason fact [dead]" or "other".
func (c *Classifier) entry(words string) (entry, error) {
	fields := strings.Fields(words)
	if len(fields) == 0 {
		return entry{}, fmt.Errorf("is empty")
	}
	reason, err := c.reason(schemas.Reason(fields[0]))
	if err != nil {
		return entry{}, err
	}
	e := entry{reason: reason}
	for _, word := range fields[1:] {
		switch l := levelOf(word); {
		case word == "fact":
			e.fact = true
		case word == "dead" && e.fact:
			e.dead = true
		case l != none && e.weight == 0:
			e.weight = weights[l]
		default:
			return entry{}, fmt.Errorf("%q is neither a level nor fact or dead after one", word)
		}
	}
	if e.weight == 0 && !e.fact && c.reasons[reason] != schemas.OtherReason {
		return entry{}, fmt.Errorf("%q has no level", words)
	}
	return e, nil
}

func (c *Classifier) reason(r schemas.Reason) (int8, error) {
	i := slices.Index(c.reasons, r)
	if i < 0 {
		return 0, fmt.Errorf("%q is not a reason", r)
	}
	return int8(i), nil
}

func levelOf(name string) level {
	return level(max(0, slices.Index([]string{"", "weak", "hint", "doubt", "fair", "firm", "sure"}, name)))
}

// signs is the topic whose phrases are searched in host names and URLs too.
const signs = "signs"

func (c *Classifier) readWordings(text []byte) error {
	var f wordingsFile
	if err := config.Decode("wordings.yaml", text, &f); err != nil {
		return err
	}
	for _, word := range f.Stop {
		for _, part := range split(word) {
			c.grammar.lex.word(part).stop = true
		}
	}
	for name, words := range f.Classes {
		if err := c.grammar.class(name, words); err != nil {
			return err
		}
	}
	for name, levels := range f.Wordings {
		reason, err := c.reason(name)
		if err != nil {
			return err
		}
		for levelName, topics := range levels {
			first, only, _ := strings.Cut(levelName, " ")
			l := levelOf(first)
			if _, _, _, ok := splitEnhanced(only); l == none || only != "" && !ok {
				return fmt.Errorf("%s: %q is not a level, alone or before an enhanced code", name, levelName)
			}
			for topic, lines := range topics {
				if err := c.addPhrases(rule{reason: reason, level: l, only: only, list: -1}, topic, strings.Split(lines, "\n")); err != nil {
					return fmt.Errorf("%s, %s: %w", name, levelName, err)
				}
			}
		}
	}
	return nil
}

func (c *Classifier) addPhrases(r rule, topic string, texts []string) error {
	root := rootWords
	if topic == signs {
		root = rootSigns
	}
	r.weight, r.deniable, r.dead, r.ofSender = weights[r.level], r.level < sure, c.traits[r.reason].dead, -1
	if other := c.ofSender(r); other.reason != r.reason {
		r.ofSender = int16(len(c.rules))
		c.rules = append(c.rules, other)
	}
	c.rules = append(c.rules, r)
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			continue
		}
		if err := c.grammar.add(root, text, c.rules); err != nil {
			return err
		}
	}
	return nil
}

// ofSender returns what a phrase about the address means when it is said of the
// sender: his address is not known, his quota is used up.
func (c *Classifier) ofSender(r rule) rule {
	reason := schemas.Reason("")
	switch {
	case r.dead:
		reason = schemas.SenderAddress
	case c.reasons[r.reason] == schemas.MailboxFull:
		reason = schemas.RateLimited
	}
	if i := slices.Index(c.reasons, reason); i >= 0 {
		r.reason, r.dead = int8(i), false
	}
	return r
}

// folded is how a provider's class is looked up.
func folded(class string) string { return strings.ToLower(strings.TrimSpace(class)) }
