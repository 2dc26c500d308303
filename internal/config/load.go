package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
)

// FileMax is the largest configuration file that is read, in bytes.
const FileMax = 4 << 20

// Sources are where Load reads from.
type Sources struct {
	File    string            // path of the YAML file; "" for none
	Environ []string          // "NAME=value", as os.Environ gives them
	Flags   map[string]string // by key, for example "s3.listen"
}

// VariableConfig is the environment variable that names the configuration file.
const VariableConfig = "PITHOS_CONFIG"

// Load reads the sources over the defaults and checks the result as a whole. Its error is Problems: everything that is
// wrong, each with its place.
func Load(s Sources) (*Config, error) {
	l := &loader{c: Default(), origin: map[string]string{}}
	l.rows = l.c.settings()
	if s.File != "" {
		l.file(s.File)
	}
	l.environ(s.Environ)
	l.flags(s.Flags)
	if len(l.problems) == 0 {
		l.whole()
	}
	if err := l.problems.asError(); err != nil {
		return nil, err
	}
	return l.c, nil
}

// loader collects what the sources say.
type loader struct {
	c        *Config
	rows     []setting
	origin   map[string]string // key: where its value was set last
	problems Problems
}

// problemsMax is how many problems are told; a file that is no configuration at all has too many to read.
const problemsMax = 50

func (l *loader) problem(where, key, format string, args ...any) {
	if len(l.problems) >= problemsMax {
		return
	}
	l.problems = append(l.problems, Problem{Where: where, Key: key, Message: fmt.Sprintf(format, args...)})
}

// apply sets one row and remembers where from.
func (l *loader) apply(where string, r setting, values []string) {
	if err := r.set(values); err != nil {
		l.problem(where, r.key, "%s", err)
		return
	}
	l.origin[r.key] = where
}

func (l *loader) file(path string) {
	data, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.problem(path, "", "the configuration file does not exist; give its path with --config or leave the flag out to run with the defaults")
	case err != nil:
		l.problem(path, "", "the configuration file cannot be read: %s", err)
	default:
		l.yaml(path, data)
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, FileMax+1))
	if err == nil && len(data) > FileMax {
		err = fmt.Errorf("it has more than %d bytes", FileMax)
	}
	return data, err
}

// environ applies the variables of the table. A PITHOS_ variable that means nothing gets a note and no error: orchestrators
// add variables of their own for a service that is called pithos.
func (l *loader) environ(environ []string) {
	keys := map[string]setting{}
	names := []string{VariableConfig}
	for _, r := range l.rows {
		keys[Variable(r.key)] = r
		names = append(names, Variable(r.key))
	}
	environ = slices.Clone(environ)
	sort.Strings(environ)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		r, ok := keys[name]
		switch {
		case ok && value == "":
			// An empty variable is as good as none: compose files pass unset variables through so.
		case ok:
			l.apply(name, r, split(r, value))
		case !strings.HasPrefix(name, "PITHOS_") || name == VariableConfig:
		case strings.HasPrefix(name, "PITHOS_SERVICE_") || strings.HasPrefix(name, "PITHOS_PORT"): // Kubernetes
		default:
			l.c.Notes = append(l.c.Notes, name+": "+unknown("variable", name, names)+" It is ignored.")
		}
	}
}

func (l *loader) flags(flags map[string]string) {
	for _, r := range l.rows {
		if value, ok := flags[r.key]; ok {
			l.apply("--"+Flag(r.key), r, split(r, value))
		}
	}
}

// split cuts the text of a list setting at commas.
func split(r setting, value string) []string {
	if !r.list {
		return []string{value}
	}
	var list []string
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// whole checks what no single value can tell.
func (l *loader) whole() {
	c := l.c
	l.checkTLS(c)
	if c.Limits.PutSize > c.Limits.ObjectSize {
		l.problem(l.where("limits.put_size", "limits.object_size"), "limits.put_size",
			"%s is more than limits.object_size (%s); write a smaller size", showSize(c.Limits.PutSize), showSize(c.Limits.ObjectSize))
	}
	if c.Limits.PartMin > c.Limits.PutSize {
		l.problem(l.where("limits.part_min", "limits.put_size"), "limits.part_min",
			"%s is more than limits.put_size (%s); write a smaller size", showSize(c.Limits.PartMin), showSize(c.Limits.PutSize))
	}
	if c.S3.Listen == c.Admin.Listen && !strings.HasSuffix(c.S3.Listen, ":0") {
		l.problem(l.where("admin.listen", "s3.listen"), "admin.listen", "%s is also s3.listen; write another port", c.Admin.Listen)
	}
	if c.Keystore.Kind == File && len(c.Keystore.Users) == 0 {
		l.problem(l.where("keystore.kind"), "keystore.users", "kind: file needs users; write them below keystore.users in the configuration file, or write kind: embedded")
	}
	if c.Keystore.Kind != File && len(c.Keystore.Users) > 0 {
		l.problem(l.where("keystore.users", "keystore.kind"), "keystore.users", "users are read only with kind: file; write kind: file, or remove the users")
	}
	l.checkGroups(c.Keystore)
	l.checkClusters(c)
	l.checkRegions(c)
	l.checkKMS(c.Encryption.KMS)
	l.checkKeystone(c)
	for _, other := range []struct{ key, address string }{{"s3.listen", c.S3.Listen}, {"admin.listen", c.Admin.Listen}} {
		if c.OpenStack.Listen == other.address && !strings.HasSuffix(other.address, ":0") {
			l.problem(l.where("openstack.listen"), "openstack.listen", "%s is also %s; write another port", other.address, other.key)
		}
	}
}

// checkTLS asks for what the listeners need to speak TLS.
func (l *loader) checkTLS(c *Config) {
	acme := false
	for _, at := range c.listeners() {
		k, t := at.section+".tls.", at.tls
		l.together(k+"cert", t.Cert, k+"key", t.Key)
		for _, p := range t.Certificates {
			l.together(k+"certificates", p.Cert, k+"certificates", p.Key)
		}
		l.readable(k+"client_ca", t.ClientCA)
		switch {
		case t.ClientAuth != NoClientAuth && t.ClientCA == "":
			l.problem(l.where(k+"client_auth"), k+"client_ca", "missing, but client_auth is %s; name the certificates that clients' are checked against", t.ClientAuth)
		case t.ClientAuth == NoClientAuth && t.ClientCA != "":
			l.problem(l.where(k+"client_ca"), k+"client_auth", "none, so that client_ca would do nothing; write request or require, or remove client_ca")
		case t.ClientAuth != NoClientAuth && !t.On():
			l.problem(l.where(k+"client_auth"), k+"client_auth", "%s, but the listener does not speak TLS; give it certificates", t.ClientAuth)
		}
		acme = acme || t.ACME
		if t.ACME && len(c.ACME.Domains) == 0 {
			l.problem(l.where(k+"acme"), "acme.domains", "missing, but %sacme is true; name the domains to get certificates for", k)
		}
	}
	l.readable("acme.ca", c.ACME.CA)
	if !acme && (len(c.ACME.Domains) > 0 || c.ACME.HTTPListen != Off) {
		l.problem(l.where("acme.domains", "acme.http_listen"), "acme.domains", "no listener uses it; write acme: true below s3.tls or openstack.tls, or remove the section acme")
	}
}

// checkKMS asks for what the key service needs.
func (l *loader) checkKMS(k KMS) {
	where := l.where("encryption.kms.kind")
	switch {
	case k.Kind == File && k.File == "":
		l.problem(where, "encryption.kms.file", "kind: file needs the file with the keys; make one with pithos keyring add NAME --file FILE")
	case k.Kind == Vault && (k.Vault.Address == "" || k.Vault.TokenFile == ""):
		l.problem(where, "encryption.kms.vault.address", "kind: vault needs address and token_file")
	}
}

// checkKeystone asks for what an Identity service elsewhere needs.
func (l *loader) checkKeystone(c *Config) {
	k := c.Keystone
	where := l.where("keystone.url")
	switch {
	case k.URL == "":
		if k.User != "" || k.PasswordFile != "" {
			l.problem(l.where("keystone.username", "keystone.password_file"), "keystone.url", "missing, but keystone.username or keystone.password_file is set; write the URL, or remove them")
		}
	case k.User == "" || k.PasswordFile == "":
		l.problem(where, "keystone.username", "keystone.url needs username and password_file: tokens are checked as a user of that service")
	case c.Keystore.Kind == File:
		l.problem(where, "keystore.kind", "file, but keystone.url is set: accounts are made for the projects of that service, and a file takes none; write kind: embedded or kind: cassandra")
	}
}

// checkClusters asks for hosts where they are needed, and for the bytes to be where all can read them who read the metadata.
func (l *loader) checkClusters(c *Config) {
	for _, s := range c.clusters() {
		hosts, kind := s.section+".hosts", s.section+".kind"
		switch {
		case s.kind == Cassandra && len(s.cluster.Hosts) == 0:
			l.problem(l.where(kind), hosts, "kind: cassandra needs hosts; write for example hosts: [10.0.0.1, 10.0.0.2]")
		case s.kind != Cassandra && len(s.cluster.Hosts) > 0:
			l.problem(l.where(hosts, kind), hosts, "hosts are read only with kind: cassandra; write kind: cassandra, or remove the hosts")
		}
		if strings.HasSuffix(s.section, "metastore") && s.cluster.Home != "" && s.cluster.Datacenter != "" && s.cluster.Home != s.cluster.Datacenter {
			l.problem(l.where(s.section+".datacenter", s.section+".home"), s.section+".datacenter",
				"%s, but %s.home is %s: that data centre's nodes answer for this store; leave datacenter out", s.cluster.Datacenter, s.section, s.cluster.Home)
		}
		if (s.cluster.Username == "") != (s.cluster.PasswordFile == "") {
			l.problem(l.where(s.section+".username", s.section+".password_file"), s.section+".username", "username and password_file go together; write both or none")
		}
	}
	switch {
	case c.Meta.Kind == Cassandra && c.Blobs.Kind != Cassandra:
		l.problem(l.where("blobstore.kind", "metastore.kind"), "blobstore.kind",
			"%s, but metastore.kind is cassandra: other gateways of the cluster could not read bytes that lie in this one's data directory; write kind: cassandra, with a cluster of its own if you like", c.Blobs.Kind)
	case c.Meta.Kind == Cassandra && c.Meta.Cluster.Keyspace == c.Blobs.Cluster.Keyspace && slices.ContainsFunc(c.Meta.Cluster.Hosts, func(host string) bool {
		return slices.Contains(c.Blobs.Cluster.Hosts, host)
	}):
		l.problem(l.where("blobstore.keyspace", "metastore.keyspace"), "blobstore.keyspace",
			"%s is the keyspace of the metastore too: both have tables of the same names; give each a keyspace of its own", c.Blobs.Cluster.Keyspace)
	}
}

// together asks for both values or none, and that the files can be read.
func (l *loader) together(keyA, a, keyB, b string) {
	for _, x := range []struct{ key, value, otherKey, other string }{{keyA, a, keyB, b}, {keyB, b, keyA, a}} {
		switch {
		case x.value == "" && x.other != "":
			l.problem(l.where(x.otherKey), x.key, "missing, but %s is set; write both or none", x.otherKey)
		case x.value == "":
		default:
			l.readable(x.key, x.value)
		}
	}
}

// readable asks for a file that can be read, if one is named.
func (l *loader) readable(key, file string) {
	if file == "" {
		return
	}
	if f, err := os.Open(file); err != nil {
		l.problem(l.where(key), key, "the file cannot be read: %s", err)
	} else {
		_ = f.Close() // opened for reading only
	}
}

// where tells the source of the first of the keys that a source has set.
func (l *loader) where(keys ...string) string {
	for _, k := range keys {
		if w := l.origin[k]; w != "" {
			return w
		}
	}
	return ""
}
