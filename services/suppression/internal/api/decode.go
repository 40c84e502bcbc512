package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// addressesMax bounds one check; a sender of millions asks in parallel.
	addressesMax = 10_000

	// checkBytesMax is addressesMax of the longest addresses there are, escaped
	// where they need it, and the rest of the request.
	checkBytesMax = 8 << 20

	// writeBytesMax is one address, one note and a few words.
	writeBytesMax = 16 << 10

	// noteBytesMax keeps a record with many entries below Kafka's limit.
	noteBytesMax = 1000

	// nameBytesMax bounds a stream or list in a request, the same as in a scope.
	nameBytesMax = 254

	// tokenBytesMax bounds min_token: 64 positions of 31 bytes at most.
	tokenBytesMax = 2048
)

// decode reads the JSON body of r into v, an object without unknown fields. It
// answers by itself and returns false when it is not one. The content type is
// not looked at: curl -d says form, and the bearer token keeps browsers out.
func decode(w http.ResponseWriter, r *http.Request, v any, bytesMax int64) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bytesMax))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errTrailing
		}
	}
	if err == nil {
		return true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		httpserver.Problem(w, http.StatusRequestEntityTooLarge, "body too large", fmt.Sprintf("the limit is %d bytes", bytesMax))
		return false
	}
	httpserver.Problem(w, http.StatusBadRequest, "bad request", describe(err, d.InputOffset()))
	return false
}

var errTrailing = errors.New("something follows the JSON object")

// describe says what is wrong with a body and where, without repeating any
// value of it.
func describe(err error, offset int64) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("not JSON at byte %d", syntax.Offset)
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %q has the wrong type at byte %d: want %s", typ.Field, typ.Offset, jsonType(typ.Type.Kind().String()))
	}
	// encoding/json has no type for this one; its text only words the answer.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "unknown field " + field
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "a time is not RFC 3339, like 2026-01-02T15:04:05Z"
	}
	if errors.Is(err, errTrailing) {
		return fmt.Sprintf("something follows the JSON object at byte %d", offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the body ends before the JSON object does"
	}
	return "the body is not what this call takes"
}

func jsonType(kind string) string {
	switch kind {
	case "slice":
		return "array"
	case "struct", "map":
		return "object"
	case "bool":
		return "true or false"
	default:
		return kind
	}
}

// target is the mail a request is about.
type target struct {
	Scope  string `json:"scope"`
	Stream string `json:"stream"`
	List   string `json:"list"`
}

// errTarget says that more than one of three was given.
var errTarget = errors.New("give one of scope, stream and list")

// scope returns the scope that t names; given is false when it names none.
func (t target) scope() (scope string, given bool, err error) {
	named := 0
	for _, s := range []string{t.Scope, t.Stream, t.List} {
		if s != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return "", false, nil
	case named > 1:
		return "", false, errTarget
	case t.Stream != "":
		scope = list.StreamScope(t.Stream)
	case t.List != "":
		scope = list.ListScope(t.List)
	default:
		scope = t.Scope
	}
	return scope, true, list.ValidateScope(scope)
}

// keyOf returns the key and the canonical form of an address as written.
func (a *API) keyOf(text string) (store.Key, string, error) {
	canonical, err := address.Canonical(text)
	if err != nil {
		return store.Key{}, "", err
	}
	key, err := store.ParseKey(a.opt.Hash(canonical))
	return key, canonical, err
}
