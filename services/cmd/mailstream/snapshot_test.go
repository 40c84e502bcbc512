package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSnapshot_IsWrittenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	run := listCommands(t, here)
	file := filepath.Join(t.TempDir(), "list.snapshot")
	if out, err := run("add", "ana@example.com"); err != nil {
		t.Fatal(out, err)
	}
	out, err := run("snapshot", "--out", file)
	if err != nil {
		t.Fatal(out, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "ana@example.com") || out != fmt.Sprintf("%s: %d bytes\n", file, len(text)) {
		t.Errorf("%q, %d bytes, %v", out, len(text), err)
	}
	out, err = run("snapshot", "--json", "--out", file)
	if err != nil {
		t.Fatal(out, err)
	}
	again, err := os.Stat(file) // positions may have more digits by now
	if err != nil || out != fmt.Sprintf("{\"file\":%q,\"bytes\":%d}\n", file, again.Size()) {
		t.Errorf("%q, %v", out, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	here.token = "wrong"
	if out, err := listCommands(t, here)("snapshot", "--out", file); err == nil {
		t.Errorf("a wrong token: %q", out)
	}
	if out, err := run("snapshot"); err == nil || !strings.Contains(err.Error(), "--out is missing") {
		t.Errorf("without --out: %q, %v", out, err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
