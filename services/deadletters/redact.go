package deadletters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// redactedBytesMax bounds what is shown of one dead letter.
const redactedBytesMax = 16 << 10

// Redact returns the form of text without its content: of JSON the names of members,
// of all else how long it is. Names of members that are not plain words count as
// content.
func Redact(text []byte) string {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var out bytes.Buffer
	if err := redact(dec, &out); err != nil {
		return fmt.Sprintf("<%d bytes that are not JSON>", len(text))
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Sprintf("<%d bytes that are not JSON>", len(text))
	}
	if out.Len() > redactedBytesMax {
		return out.String()[:redactedBytesMax] + fmt.Sprintf("<and %d bytes>", out.Len()-redactedBytesMax)
	}
	return out.String()
}

// redact copies one value. encoding/json ends at ten thousand levels.
func redact(dec *json.Decoder, out *bytes.Buffer) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		out.WriteRune(rune(v))
		for n := 0; dec.More(); n++ {
			if n > 0 {
				out.WriteByte(',')
			}
			if v == '{' {
				name, err := dec.Token()
				if err != nil {
					return err
				}
				word, _ := name.(string) // a member's name is a text
				fmt.Fprintf(out, "%q:", plain(word))
			}
			if err := redact(dec, out); err != nil {
				return err
			}
		}
		end, err := dec.Token()
		if err != nil {
			return err
		}
		fmt.Fprint(out, end)
	case string:
		fmt.Fprintf(out, `"<%d bytes>"`, len(v))
	case json.Number:
		out.WriteString(`"<number>"`)
	default:
		fmt.Fprint(out, orNull(v))
	}
	return nil
}

func orNull(v any) any {
	if v == nil {
		return "null"
	}
	return v
}

// plainBytesMax is longer than any name of a member that a provider documents.
const plainBytesMax = 48

func plain(name string) string {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-') {
			return fmt.Sprintf("<%d bytes>", len(name))
		}
	}
	if len(name) > plainBytesMax {
		return fmt.Sprintf("<%d bytes>", len(name))
	}
	return name
}
