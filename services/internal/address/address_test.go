package address_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"as it should be", "ana@example.com", "ana@example.com"},
		{"case and space", "  Ana.B+Tag@EXAMPLE.Com ", "ana.b+tag@example.com"},
		{"display name", `"Ana, B" <Ana@Example.com>`, "ana@example.com"},
		{"angle brackets", "<ana@example.com>", "ana@example.com"},
		{"trailing dot", "ana@example.com.", "ana@example.com"},
		{"U-label", "ana@Bücher.example", "ana@xn--bcher-kva.example"},
		{"A-label", "ana@XN--BCHER-KVA.example", "ana@xn--bcher-kva.example"},
		{"NFC", "a\u0308@example.com", "ä@example.com"},
		{"two at signs", `a@b@example.com`, "a@b@example.com"},
		{"needless quotes", `"Ana.B"@example.com`, "ana.b@example.com"},
		{"quotes that are needed", `"a@b"@example.com`, `"a@b"@example.com`},
		{"quoted dots", `"ana..b"@example.com`, `"ana..b"@example.com`},
		{"nothing in quotes", `""@example.com`, `""@example.com`},
		{"one quote", `"@example.com`, `"@example.com`},
		{"sharp s", "ana@faß.example", "ana@xn--fa-hia.example"},
		{"ideographic dot", "ana@example。com", "ana@example.com"},
		{"two trailing dots", "ana@example.com..", ""},
		{"hyphens in third and fourth place", "ana@ab--cd.example.com", "ana@ab--cd.example.com"},
		{"broken A-label", "ana@xn--zzzzzz.com", ""},
		{"tag stays", "ana+shop@gmail.com", "ana+shop@gmail.com"},
		{"dots stay", "a.n.a@gmail.com", "a.n.a@gmail.com"},
		{"address literal", "ana@[192.0.2.1]", "ana@[192.0.2.1]"},
		{"slash stays", "a/b@example.com", "a/b@example.com"},
		{"empty", "", ""}, {"no at", "ana", ""}, {"no local part", "@example.com", ""}, {"no domain", "ana@", ""},
		{"space inside", "an a@example.com", ""}, {"newline", "ana\n@example.com", ""}, {"bad domain", "ana@exa mple.com", ""},
		{"label too long", "ana@" + strings.Repeat("a", 64) + ".com", ""}, {"too long", strings.Repeat("a", 600) + "@example.com", ""},
		{"not UTF-8", "\xff@example.com", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := address.Canonical(tc.in)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("Canonical(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
			if err != nil && (!errors.Is(err, address.ErrInvalid) || (tc.in != "" && strings.Contains(err.Error(), tc.in))) {
				t.Errorf("error %q", err)
			}
		})
	}
}

func FuzzCanonical_IsItsOwnCanonicalForm(f *testing.F) {
	for _, s := range []string{"ana@example.com", "A@Bücher.example.", "<a@b.c>", "a@b@c.d", "\xff@x.y", "a@-b.c", `"a"@b.c`, `""a""@b.c`, "a@ab--c.d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := address.Canonical(s)
		if err != nil {
			return
		}
		if twice, err := address.Canonical(once); err != nil || twice != once {
			t.Fatalf("Canonical(%q) = %q, whose canonical form is %q, %v", s, once, twice, err)
		}
	})
}

func TestOne(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ana@Example.com": "ana@example.com", " ana@example.com ": "ana@example.com", "<ana@example.com>": "ana@example.com",
		`Ana B <ana@example.com>`: "ana@example.com", `"B, Ana" <ana@example.com>`: "ana@example.com", `"a@b" <ana@example.com>`: "ana@example.com",
		`"Ana \"B\"" <ana@example.com>`: "ana@example.com", "ana+tag@example.com": "ana+tag@example.com", "o'hara@example.com": "o'hara@example.com",
		"abc..def@docomo.example": "abc..def@docomo.example", `"a b"@example.com`: "", `"a@b"@example.com`: `"a@b"@example.com`,
		"ana@bücher.example": "ana@xn--bcher-kva.example", "jürgen@example.com": "jürgen@example.com", "ana@[192.0.2.1]": "ana@[192.0.2.1]",
		"a%b@example.com": "a%b@example.com", "ana@sub_domain.example.com": "ana@sub_domain.example.com", "ana@example.com.": "ana@example.com",
		// none or more than one
		"*@example.com": "", "*": "", "a*@example.com": "", "ana@*.example.com": "", "@example.com": "", "example.com": "", "ana@": "", "": "",
		"mailto:ana@example.com": "", "MAILTO:ana@example.com": "", "<mailto:ana@example.com>": "", "mailto:ana@example.com?subject=x": "",
		"ana@example.com,bob@example.com": "", "ana@example.com;bob@example.com": "", "ana@example.com bob@example.com": "",
		"<ana@example.com> <bob@example.com>": "", "Ana <ana@example.com>, Bob <bob@example.com>": "", "<ana@example.com>, <bob@example.com>": "",
		"list: ana@example.com;": "", "ana@example.com (work)": "", "(work)ana@example.com": "", "ana(work)@example.com": "",
		"<ana@example.com": "", "ana@example.com>": "", "ana@example.com <ana@example.com>": "", "a@b@example.com": "",
		"http://example.com/@ana": "", "ana@example.com/path": "", "ana@exa%mple.com": "", "ana@example.com:25": "", "ana:x@example.com": "",
		"ana\x00@example.com": "", "ana\u200b@example.com": "", "an a@example.com": "", "\xff@example.com": "", `a"b@example.com`: "", `"@example.com`: "",
		`""@example.com`: "", "ana@example..com": "",
	} {
		got, err := address.One(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("One(%q) = %q, %v, want %q", in, got, err, want)
		}
		if err != nil && (!errors.Is(err, address.ErrInvalid) || len(in) > 4 && strings.Contains(err.Error(), in)) {
			t.Errorf("One(%q): error %q", in, err)
		}
	}
}

func FuzzOne_IsWhatCanonicalTakes(f *testing.F) {
	for _, s := range []string{"ana@example.com", `"A, B" <a@b.c>`, "<a@b.c>", "mailto:a@b.c", "*@b.c", `"a\"b"@c.d`, "a@[::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := address.One(s)
		if err != nil {
			return
		}
		if want, err := address.Canonical(got); err != nil || want != got {
			t.Fatalf("One(%q) = %q, whose canonical form is %q, %v", s, got, want, err)
		}
		if again, err := address.One(got); err != nil || again != got {
			t.Fatalf("One(%q) = %q, which it takes as %q, %v", s, got, again, err)
		}
		if want, err := address.Canonical(s); err == nil && want != got {
			t.Fatalf("One(%q) = %q, Canonical says %q", s, got, want)
		}
	})
}

func TestHasher_OneMailboxUnderTwoDomainsIsOnePerson(t *testing.T) {
	t.Parallel()
	h, err := address.NewHasher(config.Literal("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	both := h.Hash("ana@gmail.com")
	if got := h.Hash("ana@googlemail.com"); got != both {
		t.Errorf("googlemail.com has %s, gmail.com %s", got, both)
	}
	// printf ana@googlemail.com | openssl dgst -sha256 -hmac 0123456789abcdef
	const former = "b1a4d076b4df6b63bba7f8006c4e5cc3"
	for _, a := range []string{"ana@gmail.com", "ana@googlemail.com"} {
		if got := h.Former(a); got != former {
			t.Errorf("Former(%s) = %s, want %s", a, got, former)
		}
	}
	for _, a := range []string{"ana@example.com", "ana@notgooglemail.com", "ana@mail.gmail.com"} {
		if got := h.Former(a); got != "" || h.Hash(a) == both {
			t.Errorf("Former(%s) = %s, want none", a, got)
		}
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	h, err := address.NewHasher(config.Literal("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	// printf ana@example.com | openssl dgst -sha256 -hmac 0123456789abcdef
	const want = "4624055dbf2fe99933fb11cc1c00cc04"
	for range 2 {
		if got := h.Hash("ana@example.com"); got != want {
			t.Errorf("Hash = %s, want %s", got, want)
		}
	}
	if _, err := address.NewHasher(config.Literal("short")); err == nil || strings.Contains(err.Error(), "short\"") {
		t.Errorf("short pepper: %v", err)
	}
}

func BenchmarkHash(b *testing.B) {
	h, err := address.NewHasher(config.Literal("0123456789abcdef"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := address.Canonical("ana.maria@example.com")
		if err != nil {
			b.Fatal(err)
		}
		h.Hash(c)
	}
}
