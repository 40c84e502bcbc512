package tidy

// modulePrefix starts the import path of every module of the repository.
const modulePrefix = "github.com/mailstream/mailstream/"

// edge says which trees of the repository the packages of one tree may import.
// The first edge whose tree holds a package decides.
type edge struct {
	from string   // a tree; a trailing "/*" stands for each directory below
	may  []string // trees; "." stands for the directory that "*" matched
}

// edges is the direction of imports: main -> pipeline -> service -> platform ->
// contract. A service never imports another, and the contract imports nothing. The
// engine knows nothing of the rest, so that other projects can use it.
func edges() []edge {
	return []edge{
		{from: "schemas", may: []string{"schemas"}},
		{from: "services/cmd", may: []string{"services", "schemas"}},
		{from: "services/pipeline", may: []string{"services", "schemas"}},
		{from: "services/internal", may: []string{"services/internal", "schemas"}},
		{from: "services/*", may: []string{".", "services/internal", "schemas"}},
		{from: "services", may: []string{"schemas"}},
		{from: "devstack/engine", may: []string{"devstack/engine"}},
		{from: "devstack", may: []string{"devstack", "services", "schemas"}},
		{from: "examples", may: []string{"examples", "schemas"}},
	}
}

// ban keeps an import path, and everything below it, out of a tree.
type ban struct {
	path   string
	below  string   // the tree it is kept out of; "" is the whole repository
	except []string // trees that may import it
	tests  bool     // kept out of tests as well
	why    string
}

// bans lists imports that are wrong for what they are, not for where they lie.
func bans() []ban {
	const binaries = "test support stays out of what people run"
	return []ban{
		{path: "testing", why: binaries},
		{path: "net/http/httptest", why: binaries},
		{path: "github.com/google/go-cmp", why: binaries},
		{path: "github.com/twmb/franz-go/pkg/kfake", except: []string{"devstack"}, why: "kfake is for a laptop and for tests"},
		{path: "github.com/stretchr/testify", tests: true, why: "tests use testing and go-cmp"},
		{path: "go.uber.org/mock", tests: true, why: "fakes stand at the protocol, not at our interfaces"},
		{path: "github.com/golang/mock", tests: true, why: "fakes stand at the protocol, not at our interfaces"},
		{path: "log", below: "services", why: "services log through zap"},
		{path: "github.com/pkg/errors", tests: true, why: "errors are wrapped with fmt.Errorf and %w"},
	}
}
