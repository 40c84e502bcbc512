package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callTimeout bounds one call of a service, which answers within 10 s.
const callTimeout = 30 * time.Second

// answerBytesMax bounds what is read of an answer: a thousand alerts.
const answerBytesMax = 16 << 20

// service is a running service of ours and what lets us in.
type service struct{ url, token string }

// refusedError is an answer of a service that is no success.
type refusedError struct {
	status        int
	title, detail string
}

func (e *refusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answers %d %s: %s", e.status, e.title, e.detail))
}

// call sends body, nil for none, and reads the answer into answer, nil for none.
func (s service) call(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.url, "/")+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		var problem struct{ Title, Detail string }
		_ = json.Unmarshal(text, &problem) // what is no problem has its status
		return &refusedError{resp.StatusCode, problem.Title, problem.Detail}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
