package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRun_LeavesOutWhoMustNotBeMailed(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/v1/suppressions/check/stream?list=7&stream=marketing" || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		control, lines := http.NewResponseController(w), bufio.NewScanner(r.Body)
		_ = control.EnableFullDuplex() // HTTP/1 has it
		for _, answer := range []string{
			`{"address":"ana@example.com","suppressed":false}`, `{"address":"bob@example.com","suppressed":true,"reason":"complaint","scope":"account"}`,
			`{"line":3,"error":"address is not an email address: it has no @"}`, `{"address":"eve@example.com","suppressed":false}`,
		} {
			lines.Scan()
			fmt.Fprintln(w, answer)
			_ = control.Flush() // a client that has gone
		}
	}))
	defer service.Close()
	run := func(token string) (string, string, error) {
		var out, said bytes.Buffer
		p := program{in: strings.NewReader("ana@example.com\nbob@example.com\nnonsense\neve@example.com\n"), out: &out, errors: &said, token: token}
		err := p.run(t.Context(), []string{"--url", service.URL, "--stream", "marketing", "--list", "7", "--verbose"})
		return out.String(), said.String(), err
	}
	out, said, err := run("secret")
	if err != nil || out != "ana@example.com\neve@example.com\n" {
		t.Errorf("%q, %v", out, err)
	}
	for _, want := range []string{"bob@example.com: complaint account\n", "nonsense: address is not", "2 may be mailed, 1 must not, 1 are not addresses"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	if out, _, err := run("wrong"); err == nil || out != "" {
		t.Errorf("a wrong token: %q, %v", out, err)
	}
}
