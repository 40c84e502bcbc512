package deploytest

import (
	"regexp"
	"strings"
	"testing"
)

// TestConsoleGuide_ExamplesAreConfigurations loads each way to sign in of the guide, as a
// service does, beside what every configuration needs.
func TestConsoleGuide_ExamplesAreConfigurations(t *testing.T) {
	t.Parallel()
	text := readFile(t, "docs/console.md")
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	ways := map[string]bool{}
	for _, m := range examples {
		// A file of this host is a variable here.
		example := strings.ReplaceAll(m[1], "file:/run/secrets/console-users", "env:USERS")
		config := loadAs(t, "console", "privacy: {pepper: env:PEPPER}\n"+example, map[string]string{
			"PEPPER": strings.Repeat("pepper of a test ", 3), "USERS": "ana:operator:$2y$12$abcdefghijklmnopqrstuuOeF0x1yLqO6wXkXn1Tn3mOaVQbEw1a2",
			"CONSOLE_SESSION_KEY": strings.Repeat("k", 32), "CONSOLE_OIDC_SECRET": "a secret", "CONSOLE_REPORT_TOKEN": strings.Repeat("t", 16),
		})
		auth := config.Console.Auth
		ways["users"] = ways["users"] || auth.Users.IsSet()
		ways["oidc"] = ways["oidc"] || auth.OIDC.Issuer != ""
		ways["proxy"] = ways["proxy"] || len(auth.Proxy.Networks) > 0
		ways["tokens"] = ways["tokens"] || len(auth.Tokens) > 0
		if auth.Open() {
			t.Errorf("nobody needs to sign in with\n%s", example)
		}
	}
	for way, shown := range ways {
		if !shown {
			t.Errorf("no example shows %s", way)
		}
	}
	if len(examples) < len(ways) {
		t.Errorf("%d examples", len(examples))
	}
}
