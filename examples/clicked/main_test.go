package main

import (
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

func TestLine_SaysWhoClickedWhat(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../schemas/samples/event.clicked.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := schemas.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	got := line(&e)
	for _, want := range []string{e.ID, e.RecipientHash, "spring-2026", "https://shop.example.com/o/7781?ref=mail&x=ü"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(got, e.Recipient) {
		t.Errorf("the address is in %q", got)
	}
}
