package ingress_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// failureWriter writes a failure down as one provider does.
type failureWriter struct {
	provider.Provider
	providertest.Failures
	write func(words, reply string) *provider.Request
}

// providers is the folder of all of them.
const providers = "../internal/provider"

// failureWriters returns all providers of a vocabulary of their own: all but the generic
// source.
func failureWriters(t *testing.T) []failureWriter {
	t.Helper()
	var all []failureWriter
	for _, e := range registry.Entries() {
		if e.Name() == generic.Name {
			continue
		}
		failures := providertest.ConformanceOf(t, providers, e.Name()).Failures
		all = append(all, failureWriter{e.Provider, failures, failures.Writer(t, e.Provider)})
	}
	return all
}

// event returns what becomes of one failure.
func (fw failureWriter) event(t *testing.T, n *normalise.Normaliser, words, reply string) *schemas.Event {
	t.Helper()
	var batch provider.Batch
	req := fw.write(words, reply)
	if err := fw.Decode(req, &batch); err != nil || len(batch.Items()) != 1 || batch.Items()[0].Fault != "" {
		t.Fatalf("%d items, %v, of %s", len(batch.Items()), err, req.Body)
	}
	it := &batch.Items()[0]
	n.Complete(it, normalise.Origin{Provider: fw.Name(), Source: "s", ReceivedAt: time.Date(2026, time.March, 4, 10, 0, 0, 0, time.UTC)})
	return &it.Event
}

// describe returns type, kind of bounce, reason and whether the address is done
// for.
func describe(ev *schemas.Event) string {
	words := []string{string(ev.Type)}
	if ev.BounceType != "" {
		words = append(words, string(ev.BounceType))
	}
	words = append(words, string(ev.Reason), "unknown")
	if ev.Permanent != nil {
		words[len(words)-1] = map[bool]string{true: "permanent", false: "passing"}[*ev.Permanent]
	}
	return strings.Join(words, " ")
}

func newNormaliser(t *testing.T) *normalise.Normaliser {
	t.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-table-test"))
	if err != nil {
		t.Fatal(err)
	}
	classifier, err := registry.Classifier()
	if err != nil {
		t.Fatal(err)
	}
	n, err := normalise.New(hasher, classifier)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
