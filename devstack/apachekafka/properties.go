package apachekafka

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Properties is a server.properties file: Kafka's setting names and values.
type Properties map[string]string

// launcherVariables are read by the start script of the image and of the
// distribution; they are not settings of the server.
var launcherVariables = map[string]bool{
	"KAFKA_VERSION":              true,
	"KAFKA_HEAP_OPTS":            true,
	"KAFKA_OPTS":                 true,
	"KAFKA_JMX_OPTS":             true,
	"KAFKA_JMX_HOSTNAME":         true,
	"KAFKA_JVM_PERFORMANCE_OPTS": true,
	"KAFKA_GC_LOG_OPTS":          true,
	"KAFKA_LOG4J_OPTS":           true,
	"KAFKA_LOG4J_LOGGERS":        true,
	"KAFKA_LOG4J_ROOT_LOGLEVEL":  true,
	"KAFKA_TOOLS_LOG4J_LOGLEVEL": true,
}

// underscores undoes the spelling of a setting as an environment variable.
// The longest run comes first, as a replacer tries its pairs in order.
var underscores = strings.NewReplacer("___", "-", "__", "_", "_", ".")

// FromEnvironment turns the environment of the apache/kafka image into the
// server.properties that the image makes of it: KAFKA_X_Y becomes x.y, two
// underscores one, three a dash. Other variables are not the server's.
func FromEnvironment(env map[string]string) Properties {
	p := Properties{}
	for name, value := range env {
		setting, ours := strings.CutPrefix(name, "KAFKA_")
		if !ours || launcherVariables[name] {
			continue
		}
		p[underscores.Replace(strings.ToLower(setting))] = value
	}
	return p
}

// String is the text of the file, sorted by name.
func (p Properties) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		b.WriteString(escapeProperty(name, true) + "=" + escapeProperty(p[name], false) + "\n")
	}
	return b.String()
}

// escapeProperty writes s so that java.util.Properties reads it back as s.
func escapeProperty(s string, name bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case name && strings.ContainsRune("=:#! ", r):
			b.WriteString(`\` + string(r))
		case !name && i == 0 && r == ' ':
			b.WriteString(`\ `)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// listenerNames are the names in the setting listeners, in its order.
func (p Properties) listenerNames() ([]string, error) {
	var names []string
	for _, listener := range strings.Split(p["listeners"], ",") {
		name, _, found := strings.Cut(strings.TrimSpace(listener), "://")
		if !found || name == "" {
			return nil, fmt.Errorf("read setting listeners %q: want NAME://host:port, separated by commas", p["listeners"])
		}
		names = append(names, name)
	}
	return names, nil
}

// placement is where one node of the test machine listens and stores.
type placement struct {
	// ports of 127.0.0.1 by listener name.
	ports map[string]int
	// voters are the controllers of the cluster, id@host:port with commas.
	voters string
	// logDir holds the node's records.
	logDir string
}

// place replaces what cannot be the same on a test machine as in a container:
// addresses, ports and the folder. Everything else stays as compose.yaml has it.
func (p Properties) place(at placement) error {
	names, err := p.listenerNames()
	if err != nil {
		return err
	}
	controller := p.controllerListener()
	var listen, advertise []string
	for _, name := range names {
		port, known := at.ports[name]
		if !known {
			return fmt.Errorf("place listener %s: no port", name)
		}
		address := name + "://" + loopback(port)
		listen = append(listen, address)
		if name != controller {
			advertise = append(advertise, address)
		}
	}
	if at.ports[controller] == 0 {
		return fmt.Errorf("place controller: setting controller.listener.names %q is not in listeners", controller)
	}
	if at.ports[p.clientListener()] == 0 {
		return fmt.Errorf("place brokers: setting inter.broker.listener.name %q is not in listeners", p.clientListener())
	}
	p["listeners"] = strings.Join(listen, ",")
	p["advertised.listeners"] = strings.Join(advertise, ",")
	p["controller.quorum.voters"] = at.voters
	p["log.dirs"] = at.logDir
	delete(p, "log.dir")
	delete(p, "metadata.log.dir")
	return nil
}

// clientListener is the listener that clients inside the compose network use,
// which is the one the brokers use among themselves.
func (p Properties) clientListener() string { return p["inter.broker.listener.name"] }

// controllerListener is the one the controllers talk over.
func (p Properties) controllerListener() string { return p["controller.listener.names"] }

// loopback is host:port of a port on this machine.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
