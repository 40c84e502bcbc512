package address_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/address"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"*@example.com": "*@example.com", " *@Example.COM. ": "*@example.com", "*@*.example.com": "*@*.example.com",
		"*@münchen.de": "*@xn--mnchen-3ya.de", "*@googlemail.com": "*@gmail.com",
		"*@com": "", "*@": "", "*@*": "", "*@*.com": "", "*@a*.com": "", "*@*.*.example.com": "", "*": "", "a*@example.com": "",
		"*@[192.0.2.1]": "", "*@example.com,*@example.org": "", "mailto:*@example.com": "", "<*@example.com>": "",
	} {
		got, err := address.Pattern(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Pattern(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestPatterns_TheNarrowestFirst(t *testing.T) {
	t.Parallel()
	for canonical, want := range map[string][]string{
		"a@b.c.example.com": {"*@b.c.example.com", "*@*.c.example.com", "*@*.example.com"},
		"a@example.com":     {"*@example.com"},
		"a@googlemail.com":  {"*@gmail.com"},
		"a@localhost":       {"*@localhost"},
	} {
		if diff := cmp.Diff(want, address.Patterns(canonical)); diff != "" {
			t.Errorf("Patterns(%q) (-want +got):\n%s", canonical, diff)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"*@example.com", "*@*.b.c", "*@", "*@*.googlemail.com", "*@[::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := address.Pattern(s)
		if err != nil {
			return
		}
		if again, err := address.Pattern(got); err != nil || again != got {
			t.Errorf("Pattern(%q) = %q, which is %q, %v", s, got, again, err)
		}
		under := strings.Replace(got, "*@*.", "a@b.", 1)
		if under == got {
			under = strings.Replace(got, "*@", "a@", 1)
		}
		found := false
		for _, p := range address.Patterns(under) {
			found = found || p == got
		}
		if !found {
			t.Errorf("%q does not fall under %q", under, got)
		}
	})
}
