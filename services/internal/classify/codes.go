package classify

// Codes returns the RFC 5321 code and the RFC 3463 code of a reply, as in "smtp;
// 550 5.1.1 no such user" or "sent (250 2.0.0 OK)"; 0 and "" when there is none.
// The enhanced code shares reply's memory. Version numbers and IP addresses are
// not taken for codes.
func Codes(reply string) (smtp int, enhanced string) {
	text := bare(reply[:min(len(reply), replyBytesMax)])
	for i := 0; i < len(text) && (smtp == 0 || enhanced == ""); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(text) && (isDigit(text[end]) || text[end] == '.') {
			end++
		}
		if startsToken(text, i) {
			token := trimDots(text[i:end])
			if n, ok := smtpCode(token); ok && smtp == 0 && endsCode(text, i+len(token)) {
				smtp = n
			} else if _, _, _, ok := splitEnhanced(token); ok && enhanced == "" && endsToken(text, i+len(token)) {
				enhanced = token
			}
		}
		i = end
	}
	return smtp, enhanced
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@'
}

// startsToken says that no word runs into the digit at i. A dash is all right in
// the second line of a reply: "550-5.1.1".
func startsToken(text string, i int) bool {
	if i == 0 {
		return true
	}
	c := text[i-1]
	return !isWord(c) && c != '.' && c != '/' && c != '=' && c != '[' && (c != '-' || i > 1 && isDigit(text[i-2]))
}

func endsToken(text string, i int) bool {
	return i == len(text) || !isWord(text[i]) && text[i] != '/'
}

// endsCode says that a three-digit number is followed as a reply code is: by
// white space, a dash or the end (RFC 5321, section 4.2).
func endsCode(text string, i int) bool {
	return i == len(text) || text[i] == ' ' || text[i] == '-' || text[i] == ')' || text[i] == '\r' || text[i] == '\n' ||
		text[i] == ':' || text[i] == ',' || text[i] == '\t'
}

func trimDots(token string) string {
	for token[len(token)-1] == '.' {
		token = token[:len(token)-1]
	}
	return token
}

func smtpCode(token string) (int, bool) {
	if len(token) != 3 || !isDigit(token[1]) || !isDigit(token[2]) {
		return 0, false
	}
	n := int(token[0]-'0')*100 + int(token[1]-'0')*10 + int(token[2]-'0')
	return n, n >= 200 && n < 600 && token[0] != '3' && token[1] <= '5'
}

// splitEnhanced takes class.subject.detail apart (RFC 3463, section 2).
func splitEnhanced(code string) (class, subject, detail int, ok bool) {
	if len(code) < len("5.1.1") || len(code) > len("5.999.999") || code[1] != '.' {
		return 0, 0, 0, false
	}
	class = int(code[0]) - '0'
	if class != 2 && class != 4 && class != 5 {
		return 0, 0, 0, false
	}
	subject, rest, ok := number(code[2:])
	if !ok || rest == "" || rest[0] != '.' {
		return 0, 0, 0, false
	}
	detail, rest, ok = number(rest[1:])
	return class, subject, detail, ok && rest == ""
}

// number reads one to three digits.
func number(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:], i >= 1 && i <= 3
}
