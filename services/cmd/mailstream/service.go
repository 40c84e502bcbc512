package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/pipeline"
)

// callTimeout bounds one call of a service, which answers within 10 s.
const callTimeout = 30 * time.Second

// answerBytesMax bounds what is read of an answer: a thousand alerts.
const answerBytesMax = 16 << 20

// The variables that hold the tokens of services for commands that call them. They set
// no field of the configuration.
const (
	suppressionToken = "MAILSTREAM_SUPPRESSION_TOKEN"
	alertingToken    = "MAILSTREAM_ALERTING_TOKEN"
)

// environment returns a variable the process was started with.
func (c *command) environment(name string) string {
	for _, pair := range c.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// settings are the variables that may set fields of the configuration. For a long-running
// service these two are most likely misspelt, and it says so.
func (c *command) settings(names []pipeline.Name) []string {
	if slices.ContainsFunc(names, func(n pipeline.Name) bool { return slices.Contains(pipeline.Names(), n) }) {
		return c.environ
	}
	return slices.DeleteFunc(slices.Clone(c.environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return name == suppressionToken || name == alertingToken
	})
}

// service is a running service of ours and what lets us in.
type service struct {
	url, token string
	variable   string // of the environment, that holds the token
}

// refusedError is an answer of a service that is not a success.
type refusedError struct {
	status        int
	title, detail string
	advice        string // "" for none
}

func (e *refusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answers %d %s: %s", e.status, e.title, e.detail)) + e.advice
}

// payload is a body that is sent as it is.
type payload struct {
	media string
	text  []byte
}

// call sends body, nil for none, as JSON and reads the answer into answer, nil for none.
func (s service) call(ctx context.Context, method, path string, body, answer any) error {
	var sent *payload
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = &payload{"application/json", text}
	}
	return s.exchange(ctx, method, path, sent, func(text []byte) error {
		if answer == nil {
			return nil
		}
		return json.Unmarshal(text, answer)
	})
}

// exchange sends body, nil for none, and gives the answer to read.
func (s service) exchange(ctx context.Context, method, path string, body *payload, read func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var sent io.Reader
	if body != nil {
		sent = bytes.NewReader(body.text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.url, "/")+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", body.media)
	}
	audit.SayFor(req, who(), audit.RoleCommand)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return withoutQuery(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return s.refusalOf(resp.StatusCode, text)
	}
	if err := read(text); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// refusalOf reads a problem.
func (s service) refusalOf(status int, text []byte) error {
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(text, &problem) // what is not a problem has its status
	refused := &refusedError{status: status, title: problem.Title, detail: problem.Detail}
	if status == http.StatusUnauthorized {
		refused.advice = "; set " + s.variable + " to one of its tokens"
	}
	return refused
}

// withoutQuery keeps the query of a request, which may name a person, out of messages.
func withoutQuery(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		at, _, _ := strings.Cut(u.URL, "?")
		return fmt.Errorf("%s %q: %w", u.Op, at, u.Err)
	}
	return err
}
