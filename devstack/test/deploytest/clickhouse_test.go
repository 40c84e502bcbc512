package deploytest

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// node is any element of a ClickHouse configuration.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

// at returns the element at path below n; the zero node when there is none.
func (n node) at(path ...string) node {
	for _, name := range path {
		i := slices.IndexFunc(n.Children, func(c node) bool { return c.XMLName.Local == name })
		if i < 0 {
			return node{}
		}
		n = n.Children[i]
	}
	return n
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n node) text() string { return strings.TrimSpace(n.Text) }

func parseXML(t *testing.T, name string) node {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(readFile(t, name)))
	var n node
	if err := decoder.Decode(&n); err != nil {
		t.Fatalf("parse %s: %v", name, err)
	}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if _, element := token.(xml.StartElement); err != nil || element {
			t.Fatalf("parse %s: more than one root, or %v", name, err)
		}
	}
}

func TestClickHouse_PasswordsComeFromTheContainersEnvironment(t *testing.T) {
	t.Parallel()
	env := compose(t).Services["clickhouse"].Environment.ToMapping()
	users := parseXML(t, "deploy/clickhouse/users.d/mailstream.xml").at("users")
	for user, profile := range map[string]string{"mailstream": "mailstream", "console": "analyst", "analyst": "analyst"} {
		password := users.at(user, "password")
		if password.text() != "" || env[password.attr("from_env")] == "" {
			t.Errorf("%s: password %q from variable %q, which compose.yaml does not set", user, password.text(), password.attr("from_env"))
		}
		if got := users.at(user, "profile").text(); got != profile {
			t.Errorf("%s has the profile %q", user, got)
		}
	}
	if got := env["CLICKHOUSE_SKIP_USER_SETUP"]; got != "1" {
		t.Errorf("CLICKHOUSE_SKIP_USER_SETUP = %q: the entrypoint would make users of its own", got)
	}
}

func TestClickHouse_ThePipelinesUserIsTheOneOfTheServices(t *testing.T) {
	t.Parallel()
	f := compose(t)
	for _, name := range []string{"migrate", "analytics"} {
		env := f.Services[name].Environment.ToMapping()
		if env["MAILSTREAM_CLICKHOUSE_USERNAME"] != "mailstream" || env["MAILSTREAM_CLICKHOUSE_PASSWORD"] != f.Services["clickhouse"].Environment.ToMapping()["CLICKHOUSE_PASSWORD"] {
			t.Errorf("%s logs in as %q with another password", name, env["MAILSTREAM_CLICKHOUSE_USERNAME"])
		}
	}
}

func TestClickHouse_TheAdministratorIsReachableFromInsideOnly(t *testing.T) {
	t.Parallel()
	networks := parseXML(t, "deploy/clickhouse/users.d/mailstream.xml").at("users", "default", "networks")
	if networks.attr("replace") == "" {
		t.Error("the networks are added to those of the image, which are all")
	}
	for _, ip := range networks.Children {
		if got := ip.text(); got != "127.0.0.1" && got != "::1" {
			t.Errorf("default is let in from %s", got)
		}
	}
}

func TestClickHouse_AnalystsReadWithinLimitsTheyCannotRaise(t *testing.T) {
	t.Parallel()
	file := parseXML(t, "deploy/clickhouse/users.d/mailstream.xml")
	profile := file.at("profiles", "analyst")
	if got := profile.at("readonly").text(); got != "1" && got != "2" {
		t.Errorf("readonly = %q", got)
	}
	for _, limit := range []string{"max_execution_time", "max_memory_usage", "max_memory_usage_for_user", "max_rows_to_read", "max_result_rows", "max_result_bytes", "max_concurrent_queries_for_user", "max_threads"} {
		value := profile.at(limit).text()
		constraint := profile.at("constraints", limit)
		constant := constraint.at("const").XMLName.Local != ""
		if value == "" || !constant && constraint.at("max").text() != value {
			t.Errorf("%s = %q may be raised: constraint %+v", limit, value, constraint)
		}
	}
	for user, may := range map[string]string{"console": `^GRANT SELECT ON (mailstream\.\*|system\.\w+)$`, "analyst": `^GRANT SELECT(\([^)]+\))? ON (mailstream|system)\.\w+$`} {
		for _, grant := range file.at("users", user, "grants").Children {
			if got := grant.text(); !regexp.MustCompile(may).MatchString(got) {
				t.Errorf("%s may %s", user, got)
			}
		}
	}
}

func TestClickHouse_ServerConfigurationIsWellFormed(t *testing.T) {
	t.Parallel()
	n := parseXML(t, "deploy/clickhouse/config.d/mailstream.xml")
	if n.XMLName.Local != "clickhouse" || n.at("http_port").text() != "8123" {
		t.Errorf("root %q, http_port %q", n.XMLName.Local, n.at("http_port").text())
	}
	for _, port := range []string{"mysql_port", "postgresql_port", "interserver_http_port"} {
		if n.at(port).attr("remove") == "" {
			t.Errorf("%s stays open", port)
		}
	}
}
