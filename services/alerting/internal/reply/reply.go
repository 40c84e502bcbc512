// Package reply makes an SMTP reply fit to be shown to people and kept: short, one
// line, and without the names of persons.
package reply

import "strings"

const (
	// RunesMax is how much of a reply travels: enough for code and reason.
	RunesMax = 200
	// localPartMin is the shortest local part worth hiding on its own; a shorter
	// one would blacken half the words.
	localPartMin = 4
	masked       = "<address>"
)

// Mask removes from a server's reply what names a person: anything that looks
// like an address, and the recipient's local part wherever it occurs.
func Mask(reply, recipient string) string {
	if reply == "" {
		return ""
	}
	if runes := []rune(reply); len(runes) > 2*RunesMax {
		reply = string(runes[:2*RunesMax]) // long enough that the cut below is the one seen
	}
	words := strings.FieldsFunc(reply, func(r rune) bool { return r <= ' ' || r == 0x7f })
	local, _, _ := strings.Cut(recipient, "@")
	local, _, _ = strings.Cut(local, "+") // servers name the mailbox without the tag
	for i, word := range words {
		words[i] = maskWord(word, strings.ToLower(local))
	}
	out := []rune(strings.Join(words, " "))
	return string(out[:min(len(out), RunesMax)])
}

// maskWord hides every address in word, keeping the punctuation around it, and
// the local part of the recipient on its own.
func maskWord(word, local string) string {
	word = strings.ReplaceAll(word, "%40", "@")
	var out strings.Builder
	for {
		at := strings.IndexByte(word, '@')
		if at < 0 {
			break
		}
		end := addressEnd(word, at)
		out.WriteString(hideLocal(word[:addressStart(word, at)], local) + masked)
		word = word[end:]
	}
	out.WriteString(hideLocal(word, local))
	return out.String()
}

// hideLocal hides the local part wherever it is in text.
func hideLocal(text, local string) string {
	lower := strings.ToLower(text)
	if len(local) < localPartMin || len(lower) != len(text) {
		return text
	}
	var out strings.Builder
	for {
		i := strings.Index(lower, local)
		if i < 0 {
			return out.String() + text
		}
		out.WriteString(text[:i] + masked)
		text, lower = text[i+len(local):], lower[i+len(local):]
	}
}

// addressStart and addressEnd find the edges of the address around the @ at
// position at: everything but brackets, quotes and separators belongs to it.
func addressStart(word string, at int) int {
	return strings.LastIndexAny(word[:at], "<>()[]{}\"',;:=") + 1
}

func addressEnd(word string, at int) int {
	if i := strings.IndexAny(word[at:], "<>()[]{}\"',;:="); i >= 0 {
		return at + i
	}
	return len(strings.TrimRight(word, ".!?"))
}
