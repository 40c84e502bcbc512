package unsubscribe

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
)

// partsMax bounds the fields of a multipart form: two have a meaning.
const partsMax = 8

// multipartForm reads the fields of a form that is in memory.
func multipartForm(text []byte, boundary string) (url.Values, bool) {
	if boundary == "" {
		return nil, false
	}
	form, parts := url.Values{}, multipart.NewReader(bytes.NewReader(text), boundary)
	for range partsMax {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, true
		}
		if err != nil {
			return nil, false
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		form.Add(part.FormName(), string(value))
	}
	return nil, false
}
