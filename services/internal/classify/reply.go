package classify

import "fmt"

// replyTextBytesMin is the shortest text that may stand in a rule: the search
// looks at four bytes at a time.
const replyTextBytesMin = 4

// bucketBits sizes the index: with some hundred texts, nearly every place in a
// reply meets an empty bucket.
const bucketBits = 12

// replyRules finds the first rule of which a text stands in a reply, in one pass
// over the reply whatever the number of texts.
type replyRules struct {
	entries []entry
	buckets [1 << bucketBits][]replyText
}

type replyText struct {
	text string
	rule int // index into entries
}

// add appends a rule below those already there.
func (r *replyRules) add(texts []string, e entry) error {
	for _, text := range texts {
		if len(text) < replyTextBytesMin {
			return fmt.Errorf("text %q is shorter than %d bytes", text, replyTextBytesMin)
		}
		b := bucket(text)
		r.buckets[b] = append(r.buckets[b], replyText{text: text, rule: len(r.entries)})
	}
	r.entries = append(r.entries, e)
	return nil
}

// find returns the answer of the topmost rule that matches lower.
func (r *replyRules) find(lower []byte) (entry, bool) {
	best := len(r.entries)
	for i := 0; i+replyTextBytesMin <= len(lower); i++ {
		for _, t := range r.buckets[bucket(lower[i:])] {
			if t.rule < best && len(t.text) <= len(lower)-i && string(lower[i:i+len(t.text)]) == t.text {
				best = t.rule
			}
		}
	}
	if best == len(r.entries) {
		return entry{}, false
	}
	return r.entries[best], true
}

// bucket hashes the first four bytes (Fibonacci hashing).
func bucket[T string | []byte](s T) uint32 {
	n := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
	return n * 2654435769 >> (32 - bucketBits)
}
