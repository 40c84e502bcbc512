package classify

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"

	"github.com/mailstream/mailstream/schemas"
)

//go:embed classifier.yaml
var classifierYAML []byte

// file is classifier.yaml.
type file struct {
	Version  string                          `yaml:"version"`
	Classes  map[string]map[string]fileEntry `yaml:"classes"`
	Enhanced map[string]fileEntry            `yaml:"enhanced"`
	Replies  []fileReply                     `yaml:"replies"`
	Codes    map[int]fileEntry               `yaml:"codes"`
}

type fileEntry struct {
	Reason    schemas.Reason `yaml:"reason"`
	Permanent string         `yaml:"permanent"`
	Weak      bool           `yaml:"weak"`
}

type fileReply struct {
	Any       []string       `yaml:"any"`
	Enhanced  string         `yaml:"enhanced"`
	Reason    schemas.Reason `yaml:"reason"`
	Permanent string         `yaml:"permanent"`
	Over      bool           `yaml:"over"`
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

// New reads the embedded data file. An error means that the file is at fault.
func New() (*Classifier, error) {
	c, err := parse(classifierYAML)
	if err != nil {
		return nil, fmt.Errorf("read classifier.yaml: %w", err)
	}
	return c, nil
}

func parse(text []byte) (*Classifier, error) {
	var f file
	if err := config.Decode("classifier.yaml", text, &f); err != nil {
		return nil, err
	}
	if f.Version == "" {
		return nil, fmt.Errorf("version is missing")
	}
	c := &Classifier{
		version:  f.Version,
		classes:  make(map[string]map[string]entry, len(f.Classes)),
		enhanced: make(map[string]entry, len(f.Enhanced)),
		codes:    make(map[int]entry, len(f.Codes)),
		yes:      true,
	}
	for provider, table := range f.Classes {
		c.classes[provider] = make(map[string]entry, len(table))
		for class, fe := range table {
			e, err := fe.entry()
			if err != nil || class != strings.ToLower(class) {
				return nil, fmt.Errorf("class %q of %q: not lower case, or %w", class, provider, err)
			}
			c.classes[provider][class] = e
		}
	}
	for code, fe := range f.Codes {
		e, err := fe.entry()
		if err != nil {
			return nil, fmt.Errorf("code %d: %w", code, err)
		}
		c.codes[code] = e
	}
	for _, fr := range f.Replies {
		e, err := fileEntry{Reason: fr.Reason, Permanent: fr.Permanent}.entry()
		if err != nil {
			return nil, fmt.Errorf("reply %q: %w", fr.Any, err)
		}
		if _, _, _, ok := splitEnhanced(fr.Enhanced); fr.Enhanced != "" && !ok {
			return nil, fmt.Errorf("reply %q: enhanced code %q is not class.subject.detail", fr.Any, fr.Enhanced)
		}
		e.over = fr.Over
		if err := c.replies.add(fr.Any, fr.Enhanced, e); err != nil {
			return nil, fmt.Errorf("reply: %w", err)
		}
	}
	return c, c.addEnhanced(f.Enhanced)
}

// addEnhanced sorts the keys "5.1.1" and "x.1.1" from the ranges "x.7.3-19".
func (c *Classifier) addEnhanced(table map[string]fileEntry) error {
	for key, fe := range table {
		e, err := fe.entry()
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
			return fmt.Errorf("enhanced code %q overlaps another range: which one is asked first is nobody's choice", key)
		}
		c.ranges = append(c.ranges, r)
	}
	return nil
}

func (f fileEntry) entry() (entry, error) {
	if !slices.Contains(schemas.Reasons(), f.Reason) {
		return entry{}, fmt.Errorf("%q is no reason", f.Reason)
	}
	e := entry{reason: f.Reason, weak: f.Weak}
	switch f.Permanent {
	case "":
	case "yes", "true":
		e.permanent = permanent
	case "no", "false":
		e.permanent = passing
	case "class":
		e.permanent = byClass
	default:
		return entry{}, fmt.Errorf("permanent %q is none of yes, no, class", f.Permanent)
	}
	return e, nil
}
