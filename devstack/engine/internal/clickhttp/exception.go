//go:build linux

package clickhttp

import (
	"fmt"
	"net/http"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
)

// The errors that the interface itself raises, by ClickHouse's numbers.
const (
	codeBadArguments          = 36
	codeNotImplemented        = 48
	codeSyntaxError           = 62
	codeUnknownSetting        = 115
	codeIncorrectData         = 117
	codeTooManyQueries        = 202
	codeTooManyBytes          = 307
	codeSessionNotFound       = 372
	codeSessionIsLocked       = 373
	codeInvalidSessionTimeout = 374
	codeAccessDenied          = 497
	codeAuthenticationFailed  = 516
	codeUnknownException      = 1002
)

var codeNames = map[int]string{
	codeBadArguments:          "BAD_ARGUMENTS",
	codeNotImplemented:        "NOT_IMPLEMENTED",
	codeSyntaxError:           "SYNTAX_ERROR",
	codeUnknownSetting:        "UNKNOWN_SETTING",
	codeIncorrectData:         "INCORRECT_DATA",
	codeTooManyQueries:        "TOO_MANY_SIMULTANEOUS_QUERIES",
	codeTooManyBytes:          "TOO_MANY_BYTES",
	codeSessionNotFound:       "SESSION_NOT_FOUND",
	codeSessionIsLocked:       "SESSION_IS_LOCKED",
	codeInvalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
	codeAccessDenied:          "ACCESS_DENIED",
	codeAuthenticationFailed:  "AUTHENTICATION_FAILED",
	codeUnknownException:      "UNKNOWN_EXCEPTION",
}

// exception makes an error of the interface that looks like one of the engine.
func exception(code int, format string, args ...any) *chdb.Exception {
	return &chdb.Exception{
		Code: code,
		Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code]),
	}
}

// statuses are the HTTP status codes a server gives for errors; the rest is 500.
var statuses = map[int]int{
	6: http.StatusBadRequest, 25: http.StatusBadRequest, 26: http.StatusBadRequest, 27: http.StatusBadRequest,
	36: http.StatusBadRequest, 38: http.StatusBadRequest, 41: http.StatusBadRequest, 44: http.StatusBadRequest,
	53: http.StatusBadRequest, 62: http.StatusBadRequest, 69: http.StatusBadRequest, 72: http.StatusBadRequest,
	117: http.StatusBadRequest, 167: http.StatusBadRequest, 168: http.StatusBadRequest, 376: http.StatusBadRequest,
	427: http.StatusBadRequest, 441: http.StatusBadRequest, 456: http.StatusBadRequest, 457: http.StatusBadRequest,

	46: http.StatusNotFound, 47: http.StatusNotFound, 50: http.StatusNotFound, 56: http.StatusNotFound,
	60: http.StatusNotFound, 63: http.StatusNotFound, 73: http.StatusNotFound, 78: http.StatusNotFound,
	81: http.StatusNotFound, 115: http.StatusNotFound, 336: http.StatusNotFound,

	194: http.StatusUnauthorized,
	192: http.StatusForbidden, 193: http.StatusForbidden, 516: http.StatusForbidden,

	48:  http.StatusNotImplemented,
	159: http.StatusRequestTimeout,
	307: http.StatusRequestEntityTooLarge,
}

// statusOf returns the HTTP status of an error of the engine.
func statusOf(code int) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
