package address

import (
	"strings"
	"testing"
)

func FuzzPlainLower_SaysNothingThatTheSlowWayDoesNot(f *testing.F) {
	for _, s := range []string{
		"ana@example.com", "a+b_c-.@a.b", "@a.b", "a@b", "a@.b", "a@b.", "a@b..c", "a@-b.c", "a@b-.c", "a@a--b.c", "a@a_b.c", "A@b.c", "a@b@c.d", "a@b.c-",
		"a@" + strings.Repeat("a", 63) + ".b", "a@" + strings.Repeat("a", 64) + ".b", "a@b." + strings.Repeat("a", 64), strings.Repeat("a", 600) + "@b.c",
		"a@" + strings.Repeat("a.", 127) + "b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !plainLower(s) {
			return
		}
		local, domain, _ := strings.Cut(s, "@")
		if got, err := canonicalSlow(local, domain); err != nil || got != s {
			t.Errorf("%q is plain, but the slow way makes %q of it: %v", s, got, err)
		}
		if checkLocal(local) != nil || checkDomain(domain) != nil || len(s) > bytesMax {
			t.Errorf("%q is plain, but no one address", s)
		}
	})
}
