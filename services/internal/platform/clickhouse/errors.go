package clickhouse

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Errors that the caller may have to distinguish beyond their fate.
var (
	// ErrTooManyParts says that merges are behind: wait longer than usual.
	ErrTooManyParts = errors.New("too many parts, merges are behind")
	// ErrTooLarge says that the server could not hold the block: send less at once.
	ErrTooLarge = errors.New("block too large for the server's memory")
	// ErrRejected says that the server refuses the content of a block: at least one
	// row is at fault, and the same block would fail each time.
	ErrRejected = errors.New("rows rejected")
	// ErrNoSchema says that the database, a table or a column is not there.
	ErrNoSchema = errors.New("schema is missing or older than this program: run `mailstream migrate`")
	// ErrDenied says that the credentials are wrong or do not suffice.
	ErrDenied = errors.New("access denied")
	// ErrLimit says that a query would read or return more rows than it may.
	ErrLimit = errors.New("more rows than the query may read")
	// ErrBlock says that a block cannot be encoded: our bug.
	ErrBlock = errors.New("block is malformed")
)

// errUnknownSetting says that what we knew of the server's settings is stale.
var errUnknownSetting = errors.New("unknown setting")

// kind returns which of the errors above a server's exception code is, nil for
// the many that just pass. The codes are those of ClickHouse's ErrorCodes.cpp.
func kind(code int32) error {
	switch code {
	case 252: // TOO_MANY_PARTS
		return ErrTooManyParts
	case 241, // MEMORY_LIMIT_EXCEEDED
		173: // CANNOT_ALLOCATE_MEMORY
		return ErrTooLarge
	case 158, // TOO_MANY_ROWS
		396: // TOO_MANY_ROWS_OR_BYTES
		return ErrLimit
	case 60, // UNKNOWN_TABLE
		81, // UNKNOWN_DATABASE
		16, // NO_SUCH_COLUMN_IN_TABLE
		47, // UNKNOWN_IDENTIFIER
		8:  // THERE_IS_NO_COLUMN
		return ErrNoSchema
	case 516, // AUTHENTICATION_FAILED
		192, // UNKNOWN_USER
		193, // WRONG_PASSWORD
		194, // REQUIRED_PASSWORD
		497, // ACCESS_DENIED
		164: // READONLY
		return ErrDenied
	case 6, // CANNOT_PARSE_TEXT
		27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
		38,  // CANNOT_PARSE_DATE
		41,  // CANNOT_PARSE_DATETIME
		53,  // TYPE_MISMATCH
		70,  // CANNOT_CONVERT_TYPE
		72,  // CANNOT_PARSE_NUMBER
		117, // INCORRECT_DATA
		131, // TOO_LARGE_STRING_SIZE
		321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
		407, // DECIMAL_OVERFLOW
		469: // VIOLATED_CONSTRAINT
		return ErrRejected
	case 115: // UNKNOWN_SETTING
		return errUnknownSetting
	default:
		return nil
	}
}

// Silent says whether a query ended since the server did not say a word in time.
func Silent(err error) bool {
	late, ok := errors.AsType[net.Error](err)
	return ok && late.Timeout() || errors.Is(err, driver.ErrAcquireConnTimeout)
}

// classify gives err its fate and, where there is one, its kind. Everything not
// named here is transient: networks, restarts, overload, replicas.
func classify(err error) error {
	if errors.Is(err, ErrBlock) {
		return fate.Wrap(fate.Halt, err)
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("send request: %w", request.Err) // its own text repeats the whole statement
	}
	ex, ok := errors.AsType[*driver.Exception](err)
	if !ok {
		return err
	}
	k := kind(ex.Code)
	if k == nil {
		return err
	}
	err = fmt.Errorf("%w: %w", k, err)
	switch {
	case errors.Is(k, ErrRejected):
		return fate.Wrap(fate.DeadLetter, err)
	case errors.Is(k, ErrDenied):
		return fate.Wrap(fate.Halt, err)
	default:
		return err
	}
}
