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
	only    []string              // the enhanced code a rule counts for; "": any
	filled  [1 << bucketBits]bool // which buckets are not empty: small enough to stay in the cache
	buckets [1 << bucketBits][]replyText
}

type replyText struct {
	text string
	rule int // index into entries
}

// add appends a rule below those already there.
func (r *replyRules) add(texts []string, enhanced string, e entry) error {
	for _, text := range texts {
		if len(text) < replyTextBytesMin {
			return fmt.Errorf("text %q is shorter than %d bytes", text, replyTextBytesMin)
		}
		b := bucket(uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24)
		r.filled[b] = true
		r.buckets[b] = append(r.buckets[b], replyText{text: text, rule: len(r.entries)})
	}
	r.entries = append(r.entries, e)
	r.only = append(r.only, enhanced)
	return nil
}

// find returns the answer of the topmost rule that matches lower, which is folded.
func (r *replyRules) find(lower []byte, enhanced string) (entry, bool) {
	best := len(r.entries)
	var four uint32
	for last, c := range lower {
		four = four>>8 | uint32(c)<<24
		b := bucket(four)
		if !r.filled[b] || last < replyTextBytesMin-1 {
			continue
		}
		i := last - (replyTextBytesMin - 1)
		for _, t := range r.buckets[b] {
			if t.rule < best && len(t.text) <= len(lower)-i && string(lower[i:i+len(t.text)]) == t.text &&
				(r.only[t.rule] == "" || r.only[t.rule] == enhanced) {
				best = t.rule
			}
		}
	}
	if best == len(r.entries) {
		return entry{}, false
	}
	return r.entries[best], true
}

// bucket hashes the first four bytes of a text (Fibonacci hashing).
func bucket(four uint32) uint32 { return four * 2654435769 >> (32 - bucketBits) }
