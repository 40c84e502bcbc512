package deploytest

import (
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m, os.Args)) }

// The engine has no users of its own, but it is ClickHouse: it knows every
// setting and reads every grant as the server would.
func TestClickHouse_EngineKnowsEverySettingAndGrant(t *testing.T) {
	t.Parallel()
	e := enginetest.Start(t)
	users := parseXML(t, "deploy/clickhouse/users.d/mailstream.xml")
	for _, profile := range users.at("profiles").Children {
		for _, setting := range profile.Children {
			if name := setting.XMLName.Local; name != "constraints" {
				// Text in quotes is taken for a number too.
				enginetest.Exec(t, e, "SELECT 1 SETTINGS "+name+" = '"+setting.text()+"'")
			}
		}
	}
	for _, user := range users.at("users").Children {
		for _, grant := range user.at("grants").Children {
			enginetest.Exec(t, e, "EXPLAIN AST "+grant.text()+" TO somebody")
		}
	}
	server := parseXML(t, "deploy/clickhouse/config.d/mailstream.xml")
	for _, setting := range server.Children {
		name := setting.XMLName.Local
		// Elements with children, ports and what is removed are no settings.
		if len(setting.Children) > 0 || strings.HasSuffix(name, "_port") || setting.attr("remove") != "" {
			continue
		}
		if got := enginetest.Exec(t, e, "SELECT count() FROM system.server_settings WHERE name = '"+name+"'"); got != "1" {
			t.Errorf("the server has no setting %s", name)
		}
	}
}
