package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadAddresses_PassesOverNobody has a line that is longer than any address: who
// stands behind it has to be forgotten, too.
func TestReadAddresses_PassesOverNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "people.txt")
	text := "# of May\r\nana@example.com\r\n\n" + strings.Repeat("x", 100_000) + "\nbo@example.com"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readAddresses(file)
	if err != nil || len(got) != 3 || got[0] != "ana@example.com" || got[2] != "bo@example.com" {
		t.Errorf("%d addresses, %v", len(got), err)
	}
	if err := os.WriteFile(file, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAddresses(file); err == nil {
		t.Error("a file of no address is taken")
	}
}
