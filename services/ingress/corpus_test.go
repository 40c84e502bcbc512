package ingress_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/classify"
)

// judgement is what must not depend on who carried the reply.
func judgement(ev *schemas.Event) string {
	permanent := "unknown"
	if ev.Permanent != nil {
		permanent = fmt.Sprint(*ev.Permanent)
	}
	return fmt.Sprintf("%s %s %s permanent %s list %q %q", ev.Reason, ev.Cause, ev.Confidence, permanent, ev.Blocklist, ev.BlocklistSubject)
}

// corpusReplies are those of the classifier's corpus that begin with a code as a
// server's does: a provider gives code and text apart, and so they are put together
// again.
func corpusReplies(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../internal/classify/testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if i == 0 {
			continue
		}
		f := strings.Split(line, "\t")
		reply := strings.ReplaceAll(f[len(f)-1], `\n`, "\n")
		if code, _ := classify.Codes(reply); code > 0 && strings.HasPrefix(reply, fmt.Sprint(code, " ")) {
			out = append(out, reply)
		}
	}
	return out
}

// TestProviders_JudgeTheCorpusAlike has every provider carry every reply. There is
// no difference that is allowed.
func TestProviders_JudgeTheCorpusAlike(t *testing.T) {
	t.Parallel()
	n := newNormaliser(t)
	replies := corpusReplies(t)
	if len(replies) < 1000 {
		t.Fatalf("only %d replies", len(replies))
	}
	var carriers []failureWriter
	for _, fw := range failureWriters(t) {
		if (fw.Final == "") != (fw.NoReply != "") {
			t.Errorf("%s: conformance.yaml has final %q and no_reply %q: give one of them", fw.Name(), fw.Final, fw.NoReply)
		}
		if fw.Final != "" {
			carriers = append(carriers, fw)
		}
	}
	for _, reply := range replies {
		first := ""
		for _, fw := range carriers {
			got := judgement(fw.event(t, n, fw.Final, reply))
			if first == "" {
				first = got
			} else if got != first {
				t.Errorf("%q by %s: %s; by the first: %s", reply, fw.Name(), got, first)
			}
		}
	}
}
