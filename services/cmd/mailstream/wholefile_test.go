package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is there before a file is whole has no name, or one that nobody takes for it; and
// what was there is replaced only when it may be.
func TestWholeFile_HasItsNameOnceItIsWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		before          string
		replaces, whole bool
		want            string
	}{
		{name: "new", whole: true, want: "new"},
		{name: "cut off"},
		{name: "in place of another", before: "old", replaces: true, whole: true, want: "new"},
		{name: "cut off beside another", before: "old", replaces: true, want: "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			if tt.before != "" {
				if err := os.WriteFile(out, []byte(tt.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := createWhole(out, tt.replaces)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("new"); err != nil {
				t.Fatal(err)
			}
			if err := f.end(tt.whole); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(out); string(got) != tt.want { // "" where there is none
				t.Errorf("it has %q, want %q", got, tt.want)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); err != nil || len(left) > 0 {
				t.Errorf("left beside it: %q, %v", left, err)
			}
		})
	}
}
