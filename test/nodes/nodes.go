// Package nodes reaches the Cassandra nodes that tests run on. PITHOS_TEST_CASSANDRA names their addresses, PITHOS_TEST_CASSANDRA_REPLICATION the
// replication of keyspaces ("dc1:3"). Tests that break nodes need CASSANDRA_NET and CASSANDRA_HOME_DIR too, as test/cassandra/run wants them.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pithos/internal/engine/cassandra"
	"pithos/test/service"
)

// requestMax bounds single requests, for busy machines: emptying a table waits for all nodes.
const requestMax = 2 * time.Minute

// Nodes are the nodes of a cluster.
type Nodes struct {
	Hosts       []string
	Replication string
}

// FromEnv tells the nodes that the environment names; ok is false when it names none.
func FromEnv() (n Nodes, ok bool) {
	hosts := os.Getenv("PITHOS_TEST_CASSANDRA")
	if hosts == "" {
		return Nodes{}, false
	}
	return Nodes{strings.Split(hosts, ","), os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")}, true
}

// Schemas are those of all stores.
func Schemas() []cassandra.Schema {
	return []cassandra.Schema{cassandra.KeySchema(), cassandra.BucketSchema(), cassandra.MetaSchema(), cassandra.BlobSchema()}
}

// Keyspace is the name that a test gives to the keyspace of a store.
func Keyspace(prefix string, sc cassandra.Schema) string { return prefix + "_" + sc.Store }

// Connect opens a session for each of Schemas, in keyspaces of the prefix. A request may take long: tests run on busy machines.
func (n Nodes) Connect(prefix string) ([]*cassandra.Session, error) {
	var all []*cassandra.Session
	for _, sc := range Schemas() {
		s, err := cassandra.Connect(cassandra.Config{Hosts: n.Hosts, Keyspace: Keyspace(prefix, sc), Timeout: requestMax})
		if err != nil {
			Close(all)
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Close ends sessions.
func Close(sessions []*cassandra.Session) {
	for _, s := range sessions {
		s.Close()
	}
}

// Install makes the keyspaces of the prefix where they are missing.
func (n Nodes) Install(ctx context.Context, prefix string) error {
	sessions, err := n.Connect(prefix)
	if err != nil {
		return err
	}
	defer Close(sessions)
	for i, sc := range Schemas() {
		if cassandra.CheckSchema(ctx, sessions[i], sc) == nil {
			continue
		}
		if err := cassandra.InstallSchema(ctx, sessions[i], sc, n.Replication); err != nil {
			return err
		}
	}
	return nil
}

// Empty deletes all rows of the prefix's keyspaces but the versions of the schemas. All nodes must be up.
func (n Nodes) Empty(ctx context.Context, prefix string) error {
	sessions, err := n.Connect(prefix)
	if err != nil {
		return err
	}
	defer Close(sessions)
	for i, sc := range Schemas() {
		if err := cassandra.Truncate(ctx, sessions[i], sc); err != nil {
			return err
		}
	}
	return nil
}

// Config is the configuration of a gateway with buckets, metadata and blocks in keyspaces of the prefix, as YAML.
func (n Nodes) Config(prefix string) string {
	var b strings.Builder
	for _, sc := range Schemas()[1:] {
		fmt.Fprintf(&b, "%s:\n%s", sc.Store, n.section(prefix, sc))
	}
	return b.String()
}

// Keystore is the section of a gateway whose users and keys are in a keyspace of the prefix too, without its head.
func (n Nodes) Keystore(prefix string) string { return n.section(prefix, cassandra.KeySchema()) }

func (n Nodes) section(prefix string, sc cassandra.Schema) string {
	return fmt.Sprintf("  kind: cassandra\n  hosts: [%s]\n  keyspace: %s\n", strings.Join(n.Hosts, ", "), Keyspace(prefix, sc))
}

// Fresh makes empty keyspaces of the prefix on the nodes that the environment names, and returns what Config says of them. Keyspaces that are there are emptied.
func Fresh(ctx context.Context, prefix string) (string, error) {
	n, ok := FromEnv()
	if !ok {
		return "", errors.New("PITHOS_TEST_CASSANDRA names no nodes; test/cassandra/with starts some")
	}
	if err := errors.Join(n.Install(ctx, prefix), n.Empty(ctx, prefix)); err != nil {
		return "", err
	}
	return n.Config(prefix), nil
}

// Address is the n-th of the addresses on loopback that CASSANDRA_NET sets aside, of which the nodes have the first.
func Address(n int) string {
	net := os.Getenv("CASSANDRA_NET")
	if net == "" {
		net = "127.0.0"
	}
	return fmt.Sprintf("%s.%d", net, n)
}

// Run runs a command of the script that steers nodes.
func Run(ctx context.Context, args ...string) (string, error) {
	root, err := service.Root()
	if err != nil {
		return "", err
	}
	if os.Getenv("CASSANDRA_NET") == "" {
		return "", errors.New("CASSANDRA_NET does not say which nodes may be broken")
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "test", "cassandra", "run"), args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("test/cassandra/run %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
