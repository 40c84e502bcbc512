package httpserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// problem is the body of an error answer (RFC 9457, section 3.1).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Problem answers with an RFC 9457 problem. title is constant for its kind of
// fault; detail must hold no secret and no address.
func Problem(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, "application/problem+json", problem{"about:blank", title, status, detail})
}

// Refused answers 400 with all faults of p, and reports whether there were any.
func Refused(w http.ResponseWriter, p *config.Problems) bool {
	err := p.Err()
	if err == nil {
		return false
	}
	detail := err.Error()
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		detail = strings.Join(invalid.Faults, "; ")
	}
	Problem(w, http.StatusBadRequest, badRequest, detail)
	return true
}

// JSON answers with v as JSON.
func JSON(w http.ResponseWriter, status int, v any) {
	writeJSON(w, status, "application/json", v)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	writeText(w, status, contentType, body)
}

// JSONText answers with what is JSON already, which it takes over.
func JSONText(w http.ResponseWriter, status int, body []byte) {
	writeText(w, status, "application/json", body)
}

func writeText(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error means that the client has gone
}

// NotFound answers 404 as a problem.
func NotFound(w http.ResponseWriter, r *http.Request) {
	Problem(w, http.StatusNotFound, "not found", "there is nothing at "+r.URL.Path)
}

// Bearer lets only requests with one of the tokens (RFC 6750, section 2.1)
// through to next. Tokens are compared by their hashes in constant time, all of
// them each time, so neither length nor position shows. Without tokens every
// request is refused.
func Bearer(tokens []config.Secret, next http.Handler) http.Handler {
	sums := make([][sha256.Size]byte, 0, len(tokens))
	for _, token := range tokens {
		if token.IsSet() {
			sums = append(sums, sha256.Sum256([]byte(token.Reveal())))
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
		match := 0
		for i := range sums {
			match |= subtle.ConstantTimeCompare(sum[:], sums[i][:])
		}
		if match == 0 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="mailstream"`)
			Problem(w, http.StatusUnauthorized, "unauthorized", "a valid bearer token is required")
			return
		}
		next.ServeHTTP(w, r)
	})
}
