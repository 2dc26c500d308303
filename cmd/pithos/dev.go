package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pithos/internal/errs"
)

// clusterFiles are the script that starts and steers nodes of Cassandra, and what it needs.
//
//go:embed cassandra
var clusterFiles embed.FS

// What a folder of "pithos dev cassandra" holds.
const (
	clusterTool   = "tool"        // the script
	clusterNodes  = "nodes"       // data, logs and pids of the nodes
	clusterConfig = "pithos.yaml" // for pithos serve
	clusterDC     = "dc1"
)

const devHelp = `Start, stop and remove a small cluster of real Apache Cassandra nodes on this machine's
loopback addresses, to try the scale-out engine with or to test against it. It is not for
data that matters: all nodes share one disk.

It needs Linux, bash, Java 17 (JAVA_HOME, or found by itself) and, the first time only,
Maven and the network: Cassandra comes from Maven Central (about 70 MB).
A node takes 0.5 to 0.9 GiB of memory.`

// cluster is the folder of a cluster for trials.
type cluster struct {
	t         *terminal
	dir       string
	addresses string
	heap      string
}

func devCommand(t *terminal) *cobra.Command {
	c := &cluster{t: t}
	sub := func(use, short, long, example string, args cobra.PositionalArgs, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Long: long, Args: args, Example: "  pithos dev cassandra " + example, RunE: action(run)}
	}
	plain := func(do string) func(cmd *cobra.Command, args []string) error {
		return func(cmd *cobra.Command, args []string) error { return c.steer(cmd.Context(), do, args...) }
	}
	start := sub("start", "Start the nodes and wait until they answer", `Start the nodes, wait until each answers, and write pithos.yaml into the folder: a
configuration with all four stores on the cluster. Nodes that were stopped go on with
their data.`, "start\n  pithos dev cassandra start --nodes 1 --dir /tmp/trial", cobra.NoArgs, nil)
	nodes := start.Flags().Int("nodes", 3, "`number` of nodes, 1 to 9; it cannot change later")
	start.RunE = action(func(cmd *cobra.Command, _ []string) error { return c.start(cmd.Context(), *nodes) })
	cassandra := group("cassandra", "A cluster of Cassandra nodes on this machine", devHelp,
		start,
		sub("stop", "Stop the nodes; their data stays", "Stop all nodes. Their data stays.", "stop", cobra.NoArgs, plain("stop")),
		sub("status", "Show each node with its state", "Show a line for each node: address, process, state, memory.", "status", cobra.NoArgs, plain("status")),
		sub("wipe", "Stop the nodes and delete their data", "Stop all nodes and delete what \"start\" made in the folder, the stored data first of all.", "wipe", cobra.NoArgs,
			func(cmd *cobra.Command, _ []string) error { return c.wipe(cmd.Context()) }),
		sub("kill NODE", "Kill a node, as a power cut does", "Send SIGKILL to a node, by its number.", "kill 2", cobra.ExactArgs(1), plain("kill")),
		sub("pause NODE", "Halt a node with its connections open", "Send SIGSTOP to a node, by its number: it hangs. \"restart\" ends that.", "pause 2", cobra.ExactArgs(1), plain("pause")),
		sub("restart NODE", "Start a node again on its data", "Start a node again, by its number, after stopping it if it runs.", "restart 2", cobra.ExactArgs(1), plain("restart")),
	)
	flags := cassandra.PersistentFlags()
	flags.StringVar(&c.dir, "dir", "pithos-cassandra", "`folder` of the cluster")
	flags.StringVar(&c.addresses, "addresses", "127.0.0", "first `three` parts of the nodes' addresses; node 1 is at .1")
	flags.StringVar(&c.heap, "heap", "512M", "Java heap of a node, `size`")
	return group("dev", "Tools for trying Pithos out", "", cassandra)
}

// start starts the nodes and writes the configuration.
func (c *cluster) start(ctx context.Context, nodes int) error {
	if nodes < 1 || nodes > 9 {
		return errs.E("dev.cassandra", errs.Invalid, errs.Request, "nodes").Because(errs.BadState, "a cluster has 1 to 9 nodes")
	}
	if err := c.unpack(); err != nil {
		return err
	}
	var points bytes.Buffer
	cmd := c.script(ctx, "start", fmt.Sprint(nodes))
	cmd.Stdout = &points
	if err := runScript(cmd); err != nil {
		return err
	}
	hosts := strings.Split(strings.TrimSpace(points.String()), ",")
	file := filepath.Join(c.dir, clusterConfig)
	if err := os.WriteFile(file, clusterYAML(hosts), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.t.out, `The cluster is ready.
  Nodes          %s
  Data and logs  %s
  Configuration  %s

Next:
  pithos schema install --config %s
  pithos serve --config %s
`, strings.Join(hosts, ", "), filepath.Join(c.dir, clusterNodes), file, file, file)
	return nil
}

// clusterYAML is a configuration with all stores on the cluster.
func clusterYAML(hosts []string) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, `# Made by "pithos dev cassandra start": all four stores on the cluster for trials.`)
	for _, store := range []string{"keystore", "bucketstore", "metastore", "blobstore"} {
		fmt.Fprintf(&b, "%s:\n  kind: cassandra\n  hosts: [%s]\n  datacenter: %s\n  replication: \"%s:%d\"\n",
			store, strings.Join(hosts, ", "), clusterDC, clusterDC, min(len(hosts), 3))
	}
	return b.Bytes()
}

// steer runs a command of the script on the cluster in the folder.
func (c *cluster) steer(ctx context.Context, do string, args ...string) error {
	if _, err := os.Stat(filepath.Join(c.dir, clusterNodes, "nodes")); err != nil {
		return &failure{exitUnreachable, fmt.Errorf("there is no cluster in %s; start one with pithos dev cassandra start, or name its folder with --dir", c.dir)}
	}
	if err := c.unpack(); err != nil {
		return err
	}
	return runScript(c.script(ctx, append([]string{do}, args...)...))
}

func (c *cluster) wipe(ctx context.Context) error {
	if err := c.steer(ctx, "wipe"); err != nil {
		return err
	}
	err := errors.Join(os.RemoveAll(filepath.Join(c.dir, clusterTool)), os.RemoveAll(filepath.Join(c.dir, clusterConfig)))
	if entries, rerr := os.ReadDir(c.dir); rerr == nil && len(entries) == 0 {
		err = errors.Join(err, os.Remove(c.dir))
	}
	return err
}

// unpack writes the script that this program carries into the folder.
func (c *cluster) unpack() error {
	files, err := fs.Sub(clusterFiles, "cassandra")
	if err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		to := filepath.Join(c.dir, clusterTool, name)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o700))
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(to); err == nil && bytes.Equal(have, text) {
			return nil
		}
		// A shell that runs the script reads it as it goes: never change the file under it.
		if err := os.WriteFile(to+".new", text, 0o600); err != nil {
			return err
		}
		return os.Rename(to+".new", to)
	})
}

// script is a call of the script. What it says goes to where this program's messages go.
func (c *cluster) script(ctx context.Context, args ...string) *exec.Cmd {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		dir = c.dir
	}
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join(dir, clusterTool, "run")}, args...)...)
	cmd.Env = append(os.Environ(), "CASSANDRA_HOME_DIR="+filepath.Join(dir, clusterNodes), "CASSANDRA_NET="+c.addresses, "CASSANDRA_HEAP="+c.heap)
	cmd.Stdout, cmd.Stderr = c.t.out, c.t.err
	return cmd
}

// runScript runs the script, which has said on its own why it failed.
func runScript(cmd *exec.Cmd) error {
	err := cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return &failure{code: exitFailed}
	}
	return err
}
