package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// badRequest is the title of every answer to a request that says something
// wrong. Its detail names the part.
const badRequest = "bad request"

// Query returns the parameters of r, each of which must be one of names and
// given once. It writes the answer and returns false when one is not: a
// misspelled filter that is ignored would answer everything.
func Query(w http.ResponseWriter, r *http.Request, names ...string) (values url.Values, ok bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		Problem(w, http.StatusBadRequest, badRequest, "the query is not URL-encoded")
		return nil, false
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(names, name) && len(names) == 0:
			Problem(w, http.StatusBadRequest, badRequest, fmt.Sprintf("unknown parameter %q: this call takes none", clip(name)))
			return nil, false
		case !slices.Contains(names, name):
			Problem(w, http.StatusBadRequest, badRequest, fmt.Sprintf("unknown parameter %q: want %s", clip(name), strings.Join(names, ", ")))
			return nil, false
		case len(values[name]) > 1:
			Problem(w, http.StatusBadRequest, badRequest, fmt.Sprintf("parameter %q is given %d times", name, len(values[name])))
			return nil, false
		}
	}
	return values, true
}

// nameShownMax bounds a name of the caller's in an answer.
const nameShownMax = 64

func clip(name string) string {
	if len(name) > nameShownMax {
		return strings.ToValidUTF8(name[:nameShownMax], "") + "..."
	}
	return name
}

// Body reads the JSON body of r into into, a pointer to a struct: one object, each
// of whose members is a field of it by its exact name, once, and nothing behind
// it. It writes the answer and returns false when it is not.
func Body(w http.ResponseWriter, r *http.Request, into any, bytesMax int64) bool {
	if said := r.Header.Get("Content-Type"); !jsonType(said) {
		Problem(w, http.StatusBadRequest, badRequest, fmt.Sprintf("content type %q is not application/json", clip(said)))
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bytesMax))
	d.DisallowUnknownFields()
	err := readObject(d, fieldsOf(reflect.ValueOf(into).Elem()))
	if err == nil {
		return true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		Problem(w, http.StatusRequestEntityTooLarge, "body too large", fmt.Sprintf("the limit is %d bytes", bytesMax))
		return false
	}
	Problem(w, http.StatusBadRequest, badRequest, describe(err, d.InputOffset()))
	return false
}

// Line reads one line of a body of JSON Lines into into, as Body reads a whole body.
// fault says what is wrong with it, "" where nothing is.
func Line(text []byte, into any) (fault string) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := readObject(d, fieldsOf(reflect.ValueOf(into).Elem())); err != nil {
		return describe(err, d.InputOffset())
	}
	return ""
}

// jsonType takes what is JSON, what says nothing, and what curl -d says of every
// body. The token that each call wants keeps the forms of browsers out.
func jsonType(said string) bool {
	if said == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(said)
	return err == nil && (media == "application/json" || media == "application/x-www-form-urlencoded" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// fieldsOf returns the fields of a struct, those of embedded ones too, by their
// JSON names.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(fields, fieldsOf(v.Field(i)))
		case f.IsExported() && name != "" && name != "-":
			fields[name] = v.Field(i)
		}
	}
	return fields
}

// bodyError is a fault that words of ours describe.
type bodyError string

func (e bodyError) Error() string { return string(e) }

// fieldError is a member whose value has the wrong form.
type fieldError struct {
	name string
	err  error
}

func (e *fieldError) Error() string { return "decode " + e.name + ": " + e.err.Error() }

func (e *fieldError) Unwrap() error { return e.err }

// faultsMax bounds the faults that one answer names: a body of nothing but unknown
// members has thousands.
const faultsMax = 20

// readObject reads the members into their fields. It goes on after a member that is
// wrong by itself, so that the error names all of these.
func readObject(d *json.Decoder, fields map[string]reflect.Value) error {
	if err := expect(d, json.Delim('{')); err != nil {
		return err
	}
	var faults []string
	seen := make(map[string]bool, len(fields))
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // the decoder allows nothing else here
		field, known := fields[name]
		into := any(new(json.RawMessage)) // of a member that is passed over
		switch {
		case !known:
			faults = append(faults, fmt.Sprintf("unknown field %q: want %s", clip(name), strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
		case seen[name]:
			faults = append(faults, fmt.Sprintf("field %q is given twice", name))
		default:
			into = field.Addr().Interface()
		}
		seen[name] = true
		if err := d.Decode(into); err != nil {
			if ends(err) {
				return err
			}
			faults = append(faults, describe(&fieldError{name, err}, d.InputOffset()))
		}
		if len(faults) >= faultsMax {
			return bodyError(strings.Join(faults, "; ") + "; and perhaps more")
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		faults = append(faults, fmt.Sprintf("something follows the JSON object at byte %d", d.InputOffset()))
	}
	if len(faults) > 0 {
		return bodyError(strings.Join(faults, "; "))
	}
	return nil
}

// ends says whether nothing can be read behind err: the body is not JSON, is cut, or too
// long.
func ends(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, size := errors.AsType[*http.MaxBytesError](err)
	return syntax || size || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = bodyError("the body is not a JSON object")
	}
	return err
}

// describe says what is wrong with a body and where, without repeating any value
// of it.
func describe(err error, offset int64) string {
	if own, ok := errors.AsType[bodyError](err); ok {
		return string(own)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("not JSON in what follows byte %d", offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the body ends before the JSON object does"
	}
	field, ok := errors.AsType[*fieldError](err)
	if !ok {
		return "the body is not what this call takes"
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %q has the wrong type before byte %d: want %s", field.name, offset, kindName(typ.Type.Kind()))
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Sprintf("field %q is not a time of RFC 3339, like 2026-01-02T15:04:05Z", field.name)
	}
	if said, ok := errors.AsType[*ValueError](err); ok {
		return fmt.Sprintf("field %q %s", field.name, said.Says)
	}
	return fmt.Sprintf("field %q is not what this call takes", field.name)
}

// ValueError is what an UnmarshalJSON of a field returns to have its words in the
// answer, after the field's name. They must hold no address.
type ValueError struct{ Says string }

// Error returns the words.
func (e *ValueError) Error() string { return e.Says }

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Slice:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Bool:
		return "true or false"
	default:
		return k.String()
	}
}
