package dialect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// Fact is one thing that happened, in the words of the contract; a dialect writes
// it in a provider's.
type Fact struct {
	Event     schemas.Event // Type, Time, Recipient, BounceType, Reason, SMTPReply, URL
	MessageID int64         // beyond 2^53, as Mailjet's are
	Campaign  string
}

// SentAt is when the message was sent. A reader who opens a mail the second it is
// sent is taken for a machine.
func (f *Fact) SentAt() time.Time { return f.Event.Time.Add(-time.Minute) }

// ID returns a text that no two facts of a run share.
func (f *Fact) ID() string {
	return string(f.Event.Type) + "-" + strconv.FormatInt(f.MessageID, 36)
}

// UUID returns a UUID that no two facts of a run share.
func (f *Fact) UUID() string {
	text := GUID(f.MessageID)
	dash := strings.LastIndexByte(text, '-')
	return text[:dash-2] + fmt.Sprintf("%02x", slices.Index(schemas.Types(), f.Event.Type)) + text[dash:]
}

// GUID spreads a message ID over the form of a UUID.
func GUID(id int64) string {
	hex := strconv.FormatUint(uint64(id)|1<<63, 16)
	return hex[:8] + "-" + hex[8:12] + "-4" + hex[13:16] + "-8" + hex[12:13] + "00-" + hex[:12]
}

// Object is a JSON object that is only written.
type Object map[string]any

// The content types of webhooks.
const (
	JSONMedia = "application/json"
	FormMedia = "application/x-www-form-urlencoded"
)

// MilliTime is how SES and Resend write a time.
const MilliTime = "2006-01-02T15:04:05.000Z"

// The reader that opens, clicks and leaves, and the server that sends.
const (
	ReaderIP    = "203.0.113.17"
	ReaderAgent = "Mozilla/5.0 (X11; Linux x86_64) Simulated/1.0"
	ReaderURL   = "https://shop.example.com/offer"
	SendingIP   = "198.51.100.7"
)

// Form returns a form as a request without a signature.
func Form(form url.Values) (Request, error) {
	return Request{Body: []byte(form.Encode()), Header: map[string]string{"Content-Type": FormMedia}}, nil
}

// JSON returns v as a request without a signature.
func JSON(v any) (Request, error) {
	body, err := json.Marshal(v)
	return Request{Body: body, Header: map[string]string{"Content-Type": JSONMedia}}, err
}

// HexSum puts the hex HMAC of the body into a header.
func HexSum(header string) Signature {
	return func(r *Request, o *Occasion) error {
		r.Header[header] = webhooksign.Hex(o.Key, r.Body)
		return nil
	}
}

// TimedSum puts the time and an HMAC over it and the body into a header.
func TimedSum(header string) Signature {
	return func(r *Request, o *Occasion) error {
		r.Header[header] = webhooksign.TimedHex(o.Key, time.Now(), r.Body)
		return nil
	}
}

// Now is the time that is signed, in Unix seconds.
func Now() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// Fingerprint is a text that no two bodies, nor two attempts at one, share.
func Fingerprint(body []byte, attempt int) string {
	sum := sha256.Sum256(append([]byte{byte(attempt)}, body...))
	return hex.EncodeToString(sum[:])
}
