package address_test

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/address"
)

func TestRedact_MasksAddressesOfEveryScript(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "",
		"asked by ana@b.example": "asked by a•••@b.example",
		"<Ana.B+x@b.example>, 550 5.1.1 no such user": "<A•••@b.example>, 550 5.1.1 no such user",
		"用户@例子.中国 and иван@почта.рф":                  "用•••@例子.中国 and и•••@почта.рф",
		"e\u0301va@b.example":                         "e•••@b.example",
		"https://x.example/?e=ana%40b.example&x=1":    "https://x.example/?•••••&x=1",
		"ana%2540b.example, ana=40b.example":          "•••••, •••••",
		`{"e":"ana\u0040b.example"}`:                  `{"e":"•••••"}`,
		"ana&#64;b.example; ana&commat;b%2Eexample":   "•••••; •••••",
		`"ana b"@b.example and o'neil@b.example`:      "a•••@b.example and o•••@b.example",
		"no address @ all, nor a@b":                   "no address @ all, nor a@b",
	} {
		if got := address.Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
