package slack

import "strings"

// span is a stretch of text in one style. The template escapes Text.
type span struct {
	Style string // "", "code" or "bold"
	Text  string
}

// markup reads the part of Slack's markup that messages use: `code`, *bold*,
// line breaks as they are, <...|shown> and the three entities. All else is text.
func markup(s string) []span {
	var out []span
	add := func(style, text string) {
		if text != "" {
			out = append(out, span{style, entities(text)})
		}
	}
	for s != "" {
		i := strings.IndexAny(s, "`*<")
		if i < 0 {
			add("", s)
			break
		}
		end := strings.IndexByte(s[i+1:], closing(s[i]))
		if end <= 0 {
			add("", s[:i+1])
			s = s[i+1:]
			continue
		}
		add("", s[:i])
		inner := s[i+1 : i+1+end]
		switch s[i] {
		case '`':
			add("code", inner)
		case '*':
			add("bold", inner)
		default:
			add("", shown(inner))
		}
		s = s[i+1+end+1:]
	}
	return out
}

func closing(c byte) byte {
	if c == '<' {
		return '>'
	}
	return c
}

// shown returns what a client shows of <inner>: the part behind the bar.
func shown(inner string) string {
	if _, label, ok := strings.Cut(inner, "|"); ok {
		return label
	}
	return inner
}

func entities(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}
