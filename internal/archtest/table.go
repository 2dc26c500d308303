package archtest

import (
	"regexp"
	"slices"
	"strings"
)

// Groups of packages, from the ground up. A row below may name only groups that stand above it.
const (
	base    = "base"
	words1  = "words1"
	words2  = "words2"
	words3  = "words3"
	stores  = "stores"
	engines = "engines"
	lib     = "lib"
	workers = "workers"
	wire    = "wire"
	doors   = "doors"
	outside = "outside"
	config  = "config"
	top     = "top"
	command = "command"
	tests   = "tests"
	fences  = "fences"
)

// row says which groups the packages of one group may import.
type row struct {
	group    string
	packages []string // folders; "dir/*" stands for each folder in dir, a package of its own with all that lies below it
	may      []string // groups
	also     []string // single packages of other groups
	siblings bool     // packages of the group may import each other
}

// layers is the architecture. It is an allow list: what no row permits is a fault, also for a package that nobody thought of.
var layers = []row{
	{group: base, packages: []string{"internal/errs", "internal/clock", "internal/invariant", "internal/wholefile", "internal/guess"}},
	{group: words1, packages: []string{"internal/naming", "internal/block", "internal/seal"}, may: []string{base}},
	{group: words2, packages: []string{"internal/access"}, may: []string{base, words1}},
	{group: words3, packages: []string{"internal/object"}, may: []string{base, words1, words2}},
	{group: stores, packages: []string{"internal/store/*"}, may: []string{base, words1, words2, words3}},
	{group: engines, packages: []string{"internal/engine/*"}, may: []string{base, words1, words2, words3, stores}},
	{group: lib, packages: []string{"internal/backend"}, may: []string{base, words1, words2, words3, stores}},
	{group: workers, packages: []string{"internal/worker", "internal/worker/*"}, may: []string{base, words1, words2, words3, stores, lib}},
	// wire reads conditions into object.Precondition; its sigv4 needs base only.
	{group: wire, packages: []string{"internal/door/wire"}, may: []string{base, words1, words2, words3}},
	{group: doors, packages: []string{"internal/door/*"}, may: []string{base, words1, words2, words3, stores, lib, wire}},
	{group: outside, packages: []string{"client", "internal/filesync"}, may: []string{base, words1}},
	{group: config, packages: []string{"internal/config"}, may: []string{base, words1}, also: []string{"internal/store/key", "internal/access"}}, // names, keys and policies have one rule each, told there
	{
		group: top, packages: []string{"internal/server"},
		may: []string{base, words1, words2, words3, stores, engines, lib, workers, wire, doors, config},
	},
	{
		group: command, packages: []string{"cmd/*"},
		may: []string{base, words1, words2, words3, stores, engines, lib, workers, wire, doors, outside, config, top},
	},
	{
		group: tests, packages: []string{"test/*"}, siblings: true,
		may: []string{base, words1, words2, words3, stores, engines, lib, workers, wire, doors, outside, config, top},
	},
	{group: fences, packages: []string{"internal/archtest"}},
}

// unitOf returns the row that pkg belongs to and the package of that row in which it lies: "internal/engine/embedded" for
// "internal/engine/embedded/segment". An exact name wins over a pattern, so door/wire is no door.
func unitOf(pkg string) (*row, string) {
	for i := range layers {
		for _, name := range layers[i].packages {
			if !strings.HasSuffix(name, "/*") && within(pkg, name) {
				return &layers[i], name
			}
		}
	}
	for i := range layers {
		for _, name := range layers[i].packages {
			folder, ok := strings.CutSuffix(name, "/*")
			rest, below := strings.CutPrefix(pkg, folder+"/")
			if ok && below {
				first, _, _ := strings.Cut(rest, "/")
				return &layers[i], folder + "/" + first
			}
		}
	}
	return nil, ""
}

func rowOf(pkg string) *row {
	r, _ := unitOf(pkg)
	return r
}

// allows reports whether pkg, which belongs to the row, may import the package imported of the module.
func (r *row) allows(pkg, imported string) bool {
	target, unit := unitOf(imported)
	if target == nil {
		return false
	}
	if target == r {
		_, own := unitOf(pkg)
		return r.siblings || unit == own
	}
	return slices.Contains(r.may, target.group) || withinAny(imported, r.also)
}

// support reports whether a package exists for tests only: its name ends in "test", as in store/blob/blobtest, or it lies below test.
func support(pkg string) bool {
	return strings.HasSuffix(pkg, "test") && pkg != "internal/archtest" || within(pkg, "test")
}

// outsider is a package from outside the module, with all below it, and the folders whose production code may import it; tests, and packages
// that exist for them, are free. The first match counts.
// docs/dependencies.md says of each module why it is there.
type outsider struct {
	path  string
	where []string
}

// machine names the packages that may touch files, processes and the environment.
var machine = []string{"internal/engine/embedded", "internal/engine/filekeys", "internal/engine/keyring", "internal/config", "internal/filesync", "internal/server", "internal/wholefile", "cmd"}

var outsiders = []outsider{
	{"github.com/cockroachdb/pebble/v2", []string{"internal/engine/embedded"}},
	{"github.com/cockroachdb/errors", nil},
	{"github.com/apache/cassandra-gocql-driver/v2", []string{"internal/engine/cassandra", "test/bench"}}, // the bench measures what the driver alone reaches
	{"github.com/klauspost/compress", []string{"internal/engine"}},
	{"github.com/prometheus/client_golang", []string{"internal/server", "internal/door"}},
	{"github.com/minio/sio", []string{"internal/seal"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"github.com/schollz/progressbar/v3", []string{"cmd"}},
	{"golang.org/x/term", []string{"cmd"}},
	{"go.yaml.in/yaml/v3", []string{"internal/config", "internal/engine/filekeys"}},
	{"google.golang.org/protobuf/encoding/protowire", []string{"internal/object", "internal/seal", "internal/store", "internal/engine"}},
	{"github.com/google/go-cmp", nil},
	{"github.com/anishathalye/porcupine", nil},
	{"github.com/rogpeppe/go-internal", nil},
	{"golang.org/x/crypto", []string{"internal", "client", "cmd"}},
	{"golang.org/x/sync", []string{"internal", "client", "cmd"}},
	{"go.etcd.io/bbolt", []string{"internal/filesync"}},
	{"github.com/fsnotify/fsnotify", []string{"internal/filesync"}},
	{"github.com/bmatcuk/doublestar/v4", []string{"internal/filesync"}},
	{"golang.org/x/sys", []string{"internal/engine/embedded", "internal/filesync", "internal/engine/keyring", "internal/server", "internal/backend/slab"}},
	{"golang.org/x/time", []string{"internal/door/wire"}},
	{"github.com/pires/go-proxyproto", []string{"internal/server"}},
	{"golang.org/x/text", []string{"internal/naming", "internal/door", "internal/filesync"}},
	{"net/http", []string{"internal/door", "internal/engine/transit", "internal/server", "client", "cmd"}},
	{"encoding/xml", []string{"internal/door"}},
	{"os/exec", []string{"cmd"}},                          // pithos dev runs a script
	{"os", append([]string{"internal/door"}, machine...)}, // doors for os.ErrDeadlineExceeded only: see bannedCalls
	{"log/slog", []string{"internal", "client", "cmd"}},
	{"log", nil},
	{"math/rand/v2", []string{"internal/door", "internal/engine/cassandra"}},
	{"math/rand", nil},
	{"testing", nil},
}

// ban forbids some names of a package outside the folders in except. Tests, and packages that exist for them, are free.
type ban struct {
	path    string
	names   *regexp.Regexp
	except  []string
	instead string
}

var bannedCalls = []ban{
	{
		"time", regexp.MustCompile(`^(Now|Since|Until|Sleep|After|Tick|NewTimer|NewTicker|AfterFunc)$`),
		[]string{"internal/clock"},
		"take the time as an argument or from internal/clock",
	},
	{
		"context", regexp.MustCompile(`^(Background|TO` + `DO)$`),
		[]string{"cmd", "internal/server"},
		"pass the caller's context",
	},
	{
		"fmt", regexp.MustCompile(`^Print`),
		[]string{"cmd"},
		"return an error or a value; only commands talk to the terminal",
	},
	{
		"os", regexp.MustCompile(`^([^E]|E[^r])`),
		machine,
		"only errors of os may be named here",
	},
	{
		"os", regexp.MustCompile(`^(Exit|Stdout|Stderr|Stdin)$`),
		[]string{"cmd"},
		"only commands talk to the terminal",
	},
}
