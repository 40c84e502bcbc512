package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Position is a record of the suppressions topic. Offset -1 is before the first.
type Position struct {
	Partition int32
	Offset    int64
}

// The errors of ParseToken.
var (
	// ErrToken says that a text is not a token.
	ErrToken = errors.New("not a token")
	// ErrForeignToken says that a token is of another topic: of another
	// deployment, or from before the topic was made anew. It can never be met.
	ErrForeignToken = errors.New("token of another topic")
)

// TokenPartsMax bounds the positions in one token: more than a session of
// writes collects, and a header's worth of text.
const TokenPartsMax = 64

// Epoch identifies one creation of a topic in tokens: a recreated topic has the
// same name and offsets, but another epoch.
type Epoch string

// NewEpoch returns the epoch of a topic by its id.
func NewEpoch(topicID string) Epoch {
	sum := sha256.Sum256([]byte(topicID))
	return Epoch(hex.EncodeToString(sum[:4]))
}

// Token returns positions as the text that clients hand back. To them it is
// opaque; its form is epoch:partition@offset,partition@offset.
func (e Epoch) Token(positions ...Position) string {
	b := append(make([]byte, 0, 16+16*len(positions)), e...)
	sep := byte(':')
	for _, p := range positions {
		b = append(b, sep)
		b = strconv.AppendInt(b, int64(p.Partition), 10)
		b = append(b, '@')
		b = strconv.AppendInt(b, p.Offset, 10)
		sep = ','
	}
	return string(b)
}

// ParseToken reads one or more tokens, separated by spaces.
func (e Epoch) ParseToken(text string) ([]Position, error) {
	var out []Position
	for _, token := range strings.Fields(text) {
		epoch, parts, ok := strings.Cut(token, ":")
		if !ok {
			return nil, ErrToken
		}
		if epoch != string(e) {
			return nil, ErrForeignToken
		}
		for part := range strings.SplitSeq(parts, ",") {
			if len(out) == TokenPartsMax {
				return nil, fmt.Errorf("%w: more than %d positions", ErrToken, TokenPartsMax)
			}
			p, err := parsePosition(part)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func parsePosition(text string) (Position, error) {
	partition, offset, ok := strings.Cut(text, "@")
	if !ok {
		return Position{}, ErrToken
	}
	p, err := strconv.ParseInt(partition, 10, 32)
	if err != nil || p < 0 {
		return Position{}, ErrToken
	}
	o, err := strconv.ParseInt(offset, 10, 64)
	if err != nil || o < -1 {
		return Position{}, ErrToken
	}
	return Position{Partition: int32(p), Offset: o}, nil
}
