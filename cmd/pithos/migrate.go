package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"pithos/internal/door/admin"
	"pithos/internal/server"
)

const migrateHelp = `Bring everything that this configuration's stores hold (users, buckets, versions, open
uploads) into the stores of another configuration: from the data directory to Cassandra,
back, or anywhere else. Version ids, times and unique ids stay.

While the server runs, each pass brings over what has changed since the last one, and
requests go on. The last pass is made when the server (with a source on Cassandra: every
gateway) is stopped: it brings over the rest, compares both sides version by version,
looks for every block and compares the counters. The service stands still for as long as
that takes; the pass before tells how long that is about. Then serve the target.

A pass may be killed at any point; the next one goes on. Nothing is changed in the source.
The target must be empty at first, and nobody may serve it before the end.

  pithos schema install --config new.yaml
  pithos migrate --config old.yaml --to new.yaml      # as often as you like
  (stop the server)
  pithos migrate --config old.yaml --to new.yaml      # says that it is complete
  pithos serve --config new.yaml

The keys of the service's encryption (encryption.keyring) are brought to the target's key
ring, on this machine: copy that file to the target's other gateways. The files of a key
service (encryption.kms) are not touched; name the same ones in the target's configuration.

Not brought over: what a finished multipart upload became, for clients that repeat its
completion.

Exit codes: 0 the pass is done, 1 it failed or the sides differ.`

func migrateCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate --to FILE", Short: "Bring the stores to those of another configuration", Long: migrateHelp, Args: cobra.NoArgs,
		Example: "  pithos migrate --to /etc/pithos-cassandra.yaml",
	}
	to := cmd.Flags().String("to", "", "YAML `file` with the target's configuration; variables of the environment do not count for it")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		file, err := filepath.Abs(*to)
		if *to == "" || err != nil {
			return &failure{exitUsage, fmt.Errorf("name the target's configuration with --to FILE")}
		}
		var r server.MigrateReport
		online := false
		err = t.connect(cmd.Context(), func(c *admin.Client, on bool) error {
			online = on
			show, done := progressLine(t.err)
			defer done()
			return c.Run(cmd.Context(), "migrate", url.Values{"to": {file}}, show, &r)
		})
		if err != nil {
			return err
		}
		if t.json {
			err = t.printJSON(r)
		} else {
			t.showMigration(r, online, *to)
		}
		if err == nil && r.Differences > 0 {
			err = &failure{code: exitFailed}
		}
		return err
	})
	return cmd
}

func (t *terminal) showMigration(r server.MigrateReport, online bool, to string) {
	fmt.Fprintf(t.out, "%d accounts, %d containers, %d versions (%s), %d open uploads.\nAdded %d, amended %d, removed %d; sent %d blocks (%s) in %v.\n",
		r.Accounts, r.Containers, r.Versions, showBytes(r.Bytes), r.Uploads, r.Added, r.Amended, r.Removed, r.BlocksSent, showBytes(r.BytesSent), r.Took.Round(time.Millisecond))
	if r.KeysCopied > 0 {
		fmt.Fprintf(t.out, "Brought %d encryption keys into the target's key ring. Give it to every other gateway of the target; what is encrypted is lost without it.\n", r.KeysCopied)
	}
	switch {
	case r.Complete:
		fmt.Fprintf(t.out, "Complete: every version, block and counter of the target was compared. Now run: pithos serve --config %s\n", to)
	case online:
		fmt.Fprintln(t.out, "The server is running, so this was not the last pass. Repeat it until it has little to do, then stop the server and run it once more.")
	default:
		fmt.Fprintf(t.out, "Not complete: %d differences; the log above names them. Run it again, and do not serve the target.\n", r.Differences)
	}
}
