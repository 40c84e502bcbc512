// Package subject is what an operator does about the data of one person, the data
// subject: forget it, and hand it out.
//
// It needs the rights of an operator on Kafka and ClickHouse. Addresses stay in this
// process: what it writes and asks holds hashes and ids, never an address.
package subject

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// ErrAddress is what the error about an address wraps. It says why and where, and
// holds no part of the address.
var ErrAddress = errors.New("not an address that can be looked for")

// Deps are what the work needs.
type Deps struct {
	Kafka      kafka.Config
	ClickHouse clickhouse.Config
	Hasher     *address.Hasher
	Log        *zap.Logger
}

// person is somebody whose data are looked for.
type person struct {
	hashes []string // that of now, and that of before a mailbox with two domains had one
	finder Finder
}

// people reads addresses. The error says which of them is not an address, from 1, and why.
func (d Deps) people(addresses []string) ([]person, error) {
	seen := map[string]bool{}
	var all []person
	var faults []error
	for i, text := range addresses {
		canonical, err := address.One(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("address %d: %w: %w", i+1, ErrAddress, err))
			continue
		}
		p := person{hashes: []string{d.Hasher.Hash(canonical)}, finder: NewFinder(canonical)}
		if former := d.Hasher.Former(canonical); former != "" {
			p.hashes = append(p.hashes, former)
		}
		if !seen[p.hashes[0]] {
			seen[p.hashes[0]] = true
			all = append(all, p)
		}
	}
	return all, errors.Join(faults...)
}

// checkReason refuses what would bring an address into the ledger.
func checkReason(reason string) error {
	switch {
	case len(reason) > reasonBytesMax:
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrReason, len(reason), reasonBytesMax)
	case strings.ContainsAny(reason, "@\n\r") || address.Redact(reason) != reason:
		return fmt.Errorf("%w: it is kept for ever and must hold no address and no line break; write the number of the request instead", ErrReason)
	default:
		return nil
	}
}

// ErrReason is what the error about a reason wraps.
var ErrReason = errors.New("the reason cannot be taken")

// reasonBytesMax bounds a reason: the number of a ticket and a few words.
const reasonBytesMax = 200
