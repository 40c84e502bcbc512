// Command prometheusrule writes the alerting rules of Prometheus as the object
// that prometheus-operator reads.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

//go:generate go run . ../../../deploy/prometheus/rules.yml ../../../deploy/kubernetes/prometheus-operator/prometheusrule.yaml

// head is the text above the groups.
const head = `# deploy/prometheus/rules.yml for prometheus-operator, written by ` + "`make gen`" + `: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: mailstream
spec:
`

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: prometheusrule RULES OBJECT")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "prometheusrule:", err)
		os.Exit(1)
	}
}

func write(from, to string) error {
	rules, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	_, groups, found := strings.Cut("\n"+string(rules), "\ngroups:\n")
	if !found {
		return errors.New("read rules: there is no line `groups:`")
	}
	var out strings.Builder
	out.WriteString(head + "  groups:\n")
	for line := range strings.Lines(groups) {
		if strings.TrimSpace(line) != "" {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return os.WriteFile(to, []byte(out.String()), 0o644)
}
