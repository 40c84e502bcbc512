package registry_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// missing names the parts that a provider lacks.
func missing(e profile.Entry) (parts []string) {
	const providers, docs = "..", "../../../../docs/providers"
	need := func(there bool, what string) {
		if !there {
			parts = append(parts, what)
		}
	}
	need(e.Provider != nil, "a decoder")
	if e.Provider == nil {
		return parts
	}
	fixtures, err := filepath.Glob(filepath.Join(providers, e.Name(), "testdata", "*"))
	need(err == nil && len(fixtures) > 0, "fixtures")
	_, err = os.Stat(filepath.Join(providers, e.Name(), "testdata", "conformance.yaml"))
	need(err == nil, "testdata/conformance.yaml")
	page, err := os.ReadFile(filepath.Join(docs, e.Name()+".md"))
	need(err == nil && strings.Contains(string(page), "provider: "+e.Name()), "a page with its configuration")
	index, err := os.ReadFile(filepath.Join(docs, "README.md"))
	need(err == nil && strings.Contains(string(index), "| ["+e.Name()+"]("+e.Name()+".md) |"), "a line in the table of providers")
	need(e.Dialect.Write != nil, "a dialect")
	need(e.Classes != "" || e.Name() == generic.Name, "classes of failures")
	need(strings.HasPrefix(e.Development, "auth:"), "a development source with auth")
	signs := strings.Contains(e.Development, "signing_keys:") || strings.Contains(e.Development, "sns:")
	need(!signs || e.Verify != nil, "a verifier of what its development source signs")
	need(!signs || e.Dialect.Sign != nil, "a signer for what its development source verifies")
	need(e.Verify == nil || signs, "a development source that uses its verifier")
	return parts
}

func TestEntries_LackNothing(t *testing.T) {
	t.Parallel()
	entries := registry.Entries()
	for _, e := range entries {
		if parts := missing(e); len(parts) > 0 {
			t.Errorf("%s lacks %s", e.Name(), strings.Join(parts, ", "))
		}
	}
	// Each folder of a provider is in the list.
	names := registry.Names()
	folders, err := filepath.Glob("../*/entry.go")
	if err != nil || len(folders) != len(entries) {
		t.Errorf("%d folders with an entry, %d in the list, %v", len(folders), len(entries), err)
	}
	for _, file := range folders {
		if name := filepath.Base(filepath.Dir(file)); !slices.Contains(names, name) {
			t.Errorf("%s is not in the list", name)
		}
	}
}

// The test above can fail: an entry that has lost a part is named.
func TestEntries_OneThatLacksAPartIsNamed(t *testing.T) {
	t.Parallel()
	for part, lose := range map[string]func(*profile.Entry){
		"a decoder":                      func(e *profile.Entry) { e.Provider = nil },
		"classes of failures":            func(e *profile.Entry) { e.Classes = "" },
		"a dialect":                      func(e *profile.Entry) { e.Dialect.Write = nil },
		"a development source with auth": func(e *profile.Entry) { e.Development = "" },
		"a verifier of what its development source signs":   func(e *profile.Entry) { e.Verify = nil },
		"a signer for what its development source verifies": func(e *profile.Entry) { e.Dialect.Sign = nil },
	} {
		e, known := registry.Find("postal")
		if !known {
			t.Fatal("there is no postal")
		}
		lose(&e)
		if parts := missing(e); !slices.Contains(parts, part) {
			t.Errorf("without it: %q, want %q", parts, part)
		}
	}
}

func TestRelay_KnowsTheServersOfProviders(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"in-v3.mailjet.com": "mailjet", "smtp.sendgrid.net": "sendgrid", "email-smtp.eu-west-1.amazonaws.com": "ses", "SMTP.mailgun.org.": "mailgun",
		"mail.example.com": "", "notmailjet.com": "", "": "",
	} {
		if got := registry.Relay(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// TestEntries_TheirWindowIsTheOneOfTheirPage holds how old a signed request may be
// where no replay_window is configured.
func TestEntries_TheirWindowIsTheOneOfTheirPage(t *testing.T) {
	t.Parallel()
	for _, e := range registry.Entries() {
		if e.Verify == nil || e.Verify.Window == 0 {
			continue
		}
		page, err := os.ReadFile("../../../../docs/providers/" + e.Name() + ".md")
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(" %d minutes", int(e.Verify.Window.Minutes()))
		if e.Verify.Window%time.Hour == 0 {
			want = fmt.Sprintf(" %d hours", int(e.Verify.Window.Hours()))
		}
		if !strings.Contains(string(page), want) {
			t.Errorf("the page of %s does not say%s, the default of replay_window", e.Name(), want)
		}
	}
}

// TestNames_AreNotInTheSharedCodeOfSignatures keeps what one provider signs in its
// folder: a new provider changes neither package.
func TestNames_AreNotInTheSharedCodeOfSignatures(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`(?i)(?:` + strings.Join(append(registry.Names(), "amazon", "sns"), "|") + `)`)
	for text, want := range map[string]string{"as Mailtrap and others": "Mailtrap", "func signSNSofSES()": "SES", "it discloses nothing, and uses a session": "", "a generic scheme": "generic"} {
		if got := providerIn(pattern, text); got != want {
			t.Errorf("in %q: %q, want %q", text, got, want)
		}
	}
	for _, dir := range []string{"../../webhookverify", "../../webhooksign"} {
		read := 0
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			read++
			for n, line := range strings.Split(string(text), "\n") {
				if found := providerIn(pattern, line); found != "" {
					t.Errorf("%s:%d names %s: move it to the provider's folder", path, n+1, found)
				}
			}
			return err
		})
		if err != nil || read == 0 {
			t.Errorf("%s: %d files, %v", dir, read, err)
		}
	}
}

// providerIn returns the first match of pattern that is a word, or a part of an
// identifier that begins with a capital letter.
func providerIn(pattern *regexp.Regexp, line string) string {
	letter := func(i int) bool { return i >= 0 && i < len(line) && unicode.IsLetter(rune(line[i])) }
	lower := func(i int) bool { return letter(i) && unicode.IsLower(rune(line[i])) }
	for _, at := range pattern.FindAllStringIndex(line, -1) {
		begins := !letter(at[0]-1) || !lower(at[0])
		if begins && !lower(at[1]) {
			return line[at[0]:at[1]]
		}
	}
	return ""
}

// TestLiteral_IsWhatTheRulesSay holds the list in the page of the rules, in the order of
// Entries.
func TestLiteral_IsWhatTheRulesSay(t *testing.T) {
	t.Parallel()
	literal := registry.Literal()
	var names []string
	for _, e := range registry.Entries() {
		if literal[e.Name()] {
			names = append(names, "`"+e.Name()+"`")
		}
	}
	last := len(names) - 1
	want := "a word of their own for blocks: " + strings.Join(names[:last], ", ") + " and " + names[last] + "."
	if page, err := os.ReadFile("../../../../docs/rules/README.md"); err != nil || !strings.Contains(string(page), want) {
		t.Errorf("docs/rules does not say %q: %v", want, err)
	}
}
