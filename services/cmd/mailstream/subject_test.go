package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadAddresses_PassesOverNobody has a line that is longer than a buffer, and names the
// lines that are no address: who stands behind them has to be forgotten, too.
func TestReadAddresses_PassesOverNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "people.txt")
	text := "# of May\r\nana@example.com\r\n\n#" + strings.Repeat("x", 100_000) + "\nbo@example.com"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readAddresses(file)
	if err != nil || len(got) != 2 || got[0] != "ana@example.com" || got[1] != "bo@example.com" {
		t.Errorf("%d addresses, %v", len(got), err)
	}
	if err := os.WriteFile(file, []byte(text+"\n"+strings.Repeat("y", 100_000)+"\n\nana@example.com\nbo@@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, faults := cli(t, "forget", "--file", file)
	if want := "--file: line 6: not an email address: it has no @\nline 9: not an email address: more than one address"; code != exitUsage || !strings.Contains(faults, want) {
		t.Errorf("%d %q, want %q", code, faults, want)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("nobody\n", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAddresses(file); err == nil || strings.Count(err.Error(), "\n") > 30 {
		t.Errorf("of a file without any address: %d bytes", len(fmt.Sprint(err)))
	}
	if err := os.WriteFile(file, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAddresses(file); err == nil {
		t.Error("a file of no address is taken")
	}
}

// TestSubjectExport_ReplacesNoFile, which may be of another person.
func TestSubjectExport_ReplacesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there, nowhere := filepath.Join(dir, "ana.zip"), filepath.Join(dir, "none", "ana.zip")
	if err := os.WriteFile(there, []byte("bo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		there: "--out: " + there + " exists: name a new file, or remove that one first",
		dir:   "--out: " + dir + " exists", nowhere: "no folder " + filepath.Dir(nowhere),
	} {
		code, _, faults := cli(t, "subject-export", "--address", "ana@example.com", "--out", out)
		if code != exitUsage || !strings.Contains(faults, want) {
			t.Errorf("%s: %d %q, want %q", out, code, faults, want)
		}
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "bo" {
		t.Errorf("%q, %v", text, err)
	}
}
