package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"pithos/internal/door/admin"
	"pithos/internal/server"
	"pithos/internal/worker"
)

func fsckCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "fsck", Short: "Check every invariant of a data directory", Args: cobra.NoArgs,
		Long: `Check that a data directory keeps every promise: each version's blocks are there and
match their checksums, counters equal the sums over the listings, references and
versions belong together, indexes are complete. Nothing is changed.

The server must be stopped. A large directory takes as long as reading it does; use
"pithos scrub" to check blocks while the server runs.

Findings are damage (an invariant is broken), leaks (space that nothing gives back by
itself) and notices (harmless; the server clears them by itself).

Exit codes: 0 clean, 1 damage or leaks, 6 the check could not be done.`,
		Example: "  pithos fsck\n  pithos fsck --data /srv/pithos --json",
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		cfg, err := t.load(nil)
		if err != nil {
			return err
		}
		if len(cfg.Clusters()) > 0 {
			return errors.New("fsck checks stores in the data directory, and the configuration has stores on Cassandra; check these with pithos schema check and pithos scrub")
		}
		report, err := server.Check(cmd.Context(), cfg.Data, func(f server.Finding) {
			if !t.json {
				fmt.Fprintf(t.out, "%s: %s %s: %s\n", f.Severity, f.Thing, printable(f.Name), printable(f.Detail))
			}
		})
		if err != nil {
			return &failure{exitUnreachable, err}
		}
		if t.json {
			err = t.printJSON(report)
		} else {
			err = t.verdict(report)
		}
		if err == nil && !report.Clean() {
			err = &failure{code: exitFailed}
		}
		return err
	})
	return cmd
}

// verdict ends the list of findings.
func (t *terminal) verdict(r server.CheckReport) error {
	text := "clean"
	switch {
	case r.Damage > 0:
		text = fmt.Sprintf("%d damages, %d leaks. Keep the directory as it is, and restore what is listed from a backup or another copy.", r.Damage, r.Leaks)
	case r.Leaks > 0:
		text = fmt.Sprintf("No damage, but %d leaks: space that is never given back. Please report this with the list.", r.Leaks)
	}
	_, err := fmt.Fprintln(t.out, text)
	return err
}

func gcCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "gc", Short: "Free the space of deleted data now", Args: cobra.NoArgs,
		Long: `Run one round of the collector, which the server also runs by itself every gc.interval:
give up writers that vanished, delete blocks that nothing names any more, and give
the space of mostly deleted packs back to the disk. Works beside running requests.`,
		Example: "  pithos gc\n  pithos gc --grace 0s",
	}
	grace := cmd.Flags().String("grace", "", "`age` from which unneeded data is removed; gc.grace by default")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		if *grace != "" {
			query.Set("grace", *grace)
		}
		var r worker.CollectReport
		if err := t.task(cmd.Context(), "gc", query, &r); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(r)
		}
		fmt.Fprintf(t.out, "Deleted %d blocks (%s); gave %s back to the disk; %d blocks are within the grace period.\n", r.Deleted, showBytes(r.Bytes), showBytes(r.Compacted), r.Young)
		return nil
	})
	return cmd
}

func scrubCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "scrub", Short: "Read every block and every kept body and compare it with its hash", Args: cobra.NoArgs,
		Long: `Read every stored block and compare it with the hash that is its name. Damaged blocks
are set aside, so that the next upload of the same bytes heals them, and are listed.
So are damaged bytes of small objects, which are kept with their versions and not as
blocks, by container id, name and version; the object has to be put again. Where a
store keeps several copies, each is read, and a bad one is healed from a good one.
Works beside running requests, and runs by itself every scrub.interval.
Exit codes: 0 clean, 1 damage, also such that was found earlier and is not healed yet.`,
		Example: "  pithos scrub\n  pithos scrub --json",
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		var r worker.ScrubReport
		if err := t.task(cmd.Context(), "scrub", nil, &r); err != nil {
			return err
		}
		if t.json {
			if err := t.printJSON(r); err != nil {
				return err
			}
		} else {
			for _, id := range r.Damaged {
				fmt.Fprintf(t.out, "damage: block %s: its bytes do not match its hash; set aside\n", id)
			}
			for _, id := range r.Unreadable {
				fmt.Fprintf(t.out, "damage: block %s: it cannot be read; the log says why\n", id)
			}
			for _, id := range r.Healed {
				fmt.Fprintf(t.out, "healed: block %s: a copy was damaged or missing and was made anew from a good one\n", id)
			}
			for _, version := range r.DamagedBodies {
				fmt.Fprintf(t.out, "damage: version %s: its kept bytes do not match their hash\n", version)
			}
			for _, version := range r.UnreadableBodies {
				fmt.Fprintf(t.out, "damage: version %s: its kept bytes cannot be read; the log says why\n", version)
			}
			for _, version := range r.HealedBodies {
				fmt.Fprintf(t.out, "healed: version %s: a copy of its kept bytes was damaged or missing and was made anew from a good one\n", version)
			}
			for _, node := range slices.Sorted(maps.Keys(r.FailingNodes)) {
				fmt.Fprintf(t.out, "damage: node %s: it failed to read its own copies of %d blocks or bodies; its log says why; see \"A damaged disk under Cassandra\" in docs/operations/repair.md\n", node, r.FailingNodes[node])
			}
			if r.Unreached > 0 {
				fmt.Fprintf(t.out, "%d copies were not looked at, since their nodes do not answer; run pithos scrub again when they do.\n", r.Unreached)
			}
			fmt.Fprintf(t.out, "Read %d blocks and %d kept bodies (%s together), %d of them damaged; %d blocks are set aside altogether.\n", r.Blocks, r.Bodies, showBytes(r.Bytes),
				len(r.Damaged)+len(r.Unreadable)+len(r.DamagedBodies)+len(r.UnreadableBodies), r.Quarantined)
		}
		if r.Damage() {
			return &failure{code: exitFailed}
		}
		return nil
	})
	return cmd
}

// task runs long work and shows how far it is, if a person watches.
func (t *terminal) task(ctx context.Context, name string, query url.Values, out any) error {
	return t.connect(ctx, func(c *admin.Client, _ bool) error {
		show, done := progressLine(t.err)
		defer done()
		err := c.Run(ctx, name, query, show, out)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return &failure{exitUnreachable, fmt.Errorf("%s did not end: %w; see the server's log", name, err)}
		}
		return err
	})
}

// progressLine keeps one line of a terminal up to date. Nothing is shown where the output goes to a file or program.
func progressLine(w io.Writer) (show func(admin.Progress), done func()) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, func() {}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil, func() {}
	}
	const erase = "\r\x1b[K"
	show = func(p admin.Progress) {
		text := fmt.Sprintf("%s: %d", p.Phase, p.Done)
		if p.Total > 0 {
			text += fmt.Sprintf(" of %d (%d%%)", p.Total, min(100*p.Done/p.Total, 100))
		}
		if p.Bytes > 0 {
			text += ", " + showBytes(p.Bytes)
		}
		fmt.Fprint(w, erase+text)
	}
	return show, func() { fmt.Fprint(w, erase) }
}
