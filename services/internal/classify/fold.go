package classify

// fold appends text to dst as the rules want it: in lower case, each white space
// as one blank, and without mail addresses and numbers. So a phrase is whole
// whatever stands in the middle of it ("user <ana@example.com> unknown", the code
// at the start of each line), and a name such as spam@example.com is no reason.
func fold(dst []byte, text string) []byte {
	dst = append(dst, ' ')
	for i := 0; i < len(text); {
		c := text[i]
		if plain := plainly[c]; plain != 0 {
			dst = append(dst, plain)
			i++
			continue
		}
		switch {
		case c <= ' ':
			if dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
			i++
		case c == '@':
			dst = withoutLocalPart(dst)
			dst, i = leaveBrackets(dst, text, endOfHost(text, i+1))
		case isDigit(c) && isBorder(dst[len(dst)-1]):
			end := i
			for end < len(text) && (isDigit(text[end]) || text[end] == '.') {
				end++
			}
			if end < len(text) && isWord(text[end]) { // "4ever"
				dst, i = append(dst, text[i:end]...), end
				continue
			}
			dst, i = leaveBrackets(dst, text, end)
			if i < len(text) && text[i] == '-' { // "550-5.1.1"
				i++
			}
		default: // a digit in a word
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// plainly is what a byte becomes that needs no thought, 0 for others.
var plainly = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case c >= 'A' && c <= 'Z':
			table[i] = c + ('a' - 'A')
		case c > ' ' && c != '@' && !isDigit(c):
			table[i] = c
		}
	}
	return table
}()

// endOfHost returns the index behind the host name at i. A dot at its end is not
// of it: "ana@example.com...User unknown".
func endOfHost(text string, i int) int {
	for i < len(text) && (isWord(text[i]) || text[i] == '-' || text[i] == '.' && i+1 < len(text) && isWord(text[i+1])) {
		i++
	}
	return i
}

// isBorder says that a number may start behind c: 5 in "#5.1.1", not in "mx5".
func isBorder(c byte) bool { return !isWord(c) && c != '.' && c != '-' && c != '/' }

// withoutLocalPart takes the last word off dst, which has a blank at its start.
func withoutLocalPart(dst []byte) []byte {
	for {
		switch dst[len(dst)-1] {
		case ' ', '<', '(', '[', ':', ';', ',', '=', '"', '\'':
			return dst
		}
		dst = dst[:len(dst)-1]
	}
}

// leaveBrackets takes the bracket off dst that the one at i closes, if it does.
func leaveBrackets(dst []byte, text string, i int) ([]byte, int) {
	if i == len(text) {
		return dst, i
	}
	switch string([]byte{dst[len(dst)-1], text[i]}) {
	case "<>", "()", "[]", "\"\"", "''":
		return dst[:len(dst)-1], i + 1
	}
	return dst, i
}
