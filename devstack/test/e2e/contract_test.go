package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi/datamodel"

	"github.com/mailstream/mailstream/services/pipeline"
)

const ndjson = "application/x-ndjson"

// contract judges a document, and requests and answers by it, with a validator that is
// not ours: what it says, client generators and gateways say.
type contract struct {
	service pipeline.Name
	judge   validator.Validator
	spoilt  int // requests that the document does not allow, and the service refused
}

func newContract(t *testing.T, service pipeline.Name) *contract {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(apiFolder, string(service)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	schemas := filepath.Join(filepath.Dir(file), "../../schemas") + "/" // the validator looks for them elsewhere
	text = bytes.ReplaceAll(text, []byte("../../schemas/"), []byte(schemas))
	doc, err := libopenapi.NewDocumentWithConfiguration(text, &datamodel.DocumentConfiguration{BasePath: filepath.Dir(file), AllowFileReferences: true})
	if err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	line := content.DecoderFunc(func(in *content.DecodeInput) (value any, err error) {
		return value, json.NewDecoder(in.Body).Decode(&value)
	})
	judge, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithBodyDecoder(ndjson, line))
	if len(errs) > 0 {
		t.Fatalf("%s: %v", service, errs)
	}
	return &contract{service: service, judge: judge}
}

// sent is a request and its body, which may be read more than once.
type sent struct {
	request *http.Request
	body    string
}

func (s sent) again(body string) *http.Request {
	r := s.request.Clone(s.request.Context())
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

// parts are what a validator sees at once: of JSON Lines a line.
func parts(media, body string) []string {
	if !strings.HasPrefix(media, ndjson) {
		return []string{body}
	}
	return slices.Collect(strings.Lines(body))
}

// refusesRequest says why the document does not allow a request; "" where it does.
func (c *contract) refusesRequest(s sent) string {
	lines := parts(s.request.Header.Get("Content-Type"), s.body)
	if len(lines) == 0 {
		return "" // no line is wrong
	}
	if ok, errs := c.judge.ValidateHttpRequestSync(s.again(lines[0])); !ok { // a later one that is wrong is answered in its place
		return said(errs)
	}
	return ""
}

// refusesAnswer says why an answer is not as the document says; "" where it is.
func (c *contract) refusesAnswer(s sent, answer *http.Response, body string) string {
	for _, part := range parts(answer.Header.Get("Content-Type"), body) {
		one := *answer
		one.Body = io.NopCloser(strings.NewReader(part))
		if ok, errs := c.judge.ValidateHttpResponse(s.again(s.body), &one); !ok {
			return said(errs)
		}
	}
	return ""
}

// answered is what came back for a request.
type answered struct {
	status     int
	kind, body string // kind is the media type of the body
}

// browserless sends a request and looks at what is answered: it follows no redirect.
var browserless = http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// exchange sends a request. What is taken has to be as the document says, and so has every
// answer.
func (c *contract) exchange(t *testing.T, s sent) answered {
	t.Helper()
	answer, err := browserless.Do(s.again(s.body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	what := fmt.Sprintf("%s: %s %s %.200s", c.service, s.request.Method, s.request.URL.RequestURI(), s.body)
	if why := c.refusesRequest(s); why != "" && answer.StatusCode/100 == 2 {
		t.Errorf("%s is answered %d, and the document does not allow it: %s", what, answer.StatusCode, why)
	}
	if why := c.refusesAnswer(s, answer, string(text)); why != "" {
		t.Errorf("%s: the answer %d is not as the document says: %s", what, answer.StatusCode, why)
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")) // "" of an answer without a body
	return answered{answer.StatusCode, kind, string(text)}
}

// spoilt are copies of an example that may have one thing wrong each: a field that nobody
// knows, none of those that are there, and each of them of another kind.
func spoilt(r tried) (all []tried) {
	change := func(change func(*tried)) {
		one := r
		change(&one)
		all = append(all, one)
	}
	for name := range strings.SplitSeq(r.Query, "&") {
		if name, _, ok := strings.Cut(name, "="); ok {
			for _, value := range []string{"", "-7", strings.Repeat("x", 3000)} {
				change(func(o *tried) { o.Query = name + "=" + value })
			}
		}
	}
	body, _ := r.Body.(map[string]any)
	if body == nil {
		return all
	}
	with := func(name string, value any) {
		change(func(o *tried) {
			copied := maps.Clone(body)
			if copied[name] = value; value == nil {
				delete(copied, name)
			}
			o.Body = copied
		})
	}
	with("unknown_field", 1)
	for name := range body {
		for _, value := range []any{nil, map[string]any{"a": 1}, -7.5, strings.Repeat("x", 3000), []any{}} {
			with(name, value)
		}
	}
	return all
}

func said(errs []*errors.ValidationError) string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return fmt.Sprint(all)
}

// TestOpenAPI_DocumentsAreOfTheirVersion has a validator that is not ours read them.
func TestOpenAPI_DocumentsAreOfTheirVersion(t *testing.T) {
	t.Parallel()
	for _, service := range described {
		if ok, errs := newContract(t, service).judge.ValidateDocument(); !ok {
			t.Errorf("%s: %s", service, said(errs))
		}
	}
}
