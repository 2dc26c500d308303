package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"pithos/client"
)

// pathCommands work on what hangs on objects: versions, sharing, public links.
func pathCommands(t *terminal) []*cobra.Command {
	return []*cobra.Command{statCommand(t), versionsCommand(t), restoreCommand(t), shareCommand(t), unshareCommand(t), publishCommand(t), unpublishCommand(t)}
}

func statCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{Use: "stat PATH", Short: "Show an object's properties", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos stat photos/a.jpg --json"}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		e, err := p.Stat(ctx, p.name)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(e)
		}
		return t.facts([2]string{"Name", e.Name}, [2]string{"Size", showBytes(e.Bytes)}, [2]string{"Type", e.ContentType}, [2]string{"Modified", e.Modified},
			[2]string{"By", e.ModifiedBy}, [2]string{"Version", strconv.FormatUint(e.Version, 10)}, [2]string{"Root hash", e.Hash}, [2]string{"UUID", e.UUID},
			[2]string{"Sharing", e.Sharing}, [2]string{"Public link", e.Public})
	})
	return cmd
}

func versionsCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{Use: "versions PATH", Short: "List the versions of an object", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos versions notes/todo.txt"}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		list, err := p.Versions(ctx, p.name)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(list)
		}
		rows := make([][]string, len(list))
		for i, v := range list {
			rows[i] = []string{strconv.FormatUint(v.ID, 10), showTime(v.Made)}
		}
		return t.table("No versions.", []string{"VERSION", "MADE"}, rows)
	})
	return cmd
}

func restoreCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore PATH", Short: "Make an old version of an object the newest", Args: cobra.ExactArgs(1),
		Long: `Make an old version of an object the newest again, as a new version; nothing is lost. It works
for deleted objects too. Say which by --version (see "pithos versions") or by --at.

` + remoteHelp,
		Example: "  pithos restore notes/todo.txt --at \"1 hour ago\"\n  pithos restore notes/todo.txt --version 1772366401000000",
	}
	when := addAt(cmd)
	id := cmd.Flags().Uint64("version", 0, "`number` of the version")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		past, err := moment(*when, now())
		if err != nil {
			return err
		}
		if (*id == 0) == past.IsZero() {
			return usage("say which version: --version NUMBER or --at TIME")
		}
		version := *id
		if version == 0 {
			if version, err = versionAt(ctx, p, past); err != nil {
				return err
			}
		}
		if err := p.Restore(ctx, p.name, version); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%s is as it was in version %d.\n", printable(p.name), version)
		return nil
	})
	return cmd
}

func shareCommand(_ *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "share PATH", Short: "Share an object, or a folder with what is in it", Args: cobra.ExactArgs(1),
		Long: `Say who may read an object and who may write it too: accounts, users (ACCOUNT:NAME), groups
of your own (ACCOUNT:GROUP), or "*" for everybody who signs in. Both lists are replaced. What
a folder shares holds for everything below that has no lists of its own.

` + remoteHelp,
		Example: "  pithos share photos/2026 --read bob,carol\n  pithos share projects/site --write alice:team",
	}
	read := cmd.Flags().StringSlice("read", nil, "`members` who may read")
	write := cmd.Flags().StringSlice("write", nil, "`members` who may read and write")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		p, err := objectAt(c, args[0])
		if err != nil {
			return err
		}
		if len(*read)+len(*write) == 0 {
			return usage("say with whom: --read or --write; pithos unshare ends the sharing")
		}
		return p.Share(ctx, p.name, *read, *write)
	})
	return cmd
}

func unshareCommand(_ *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "unshare PATH", Short: "End the sharing of an object or folder", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos unshare photos/2026",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := objectAt(c, args[0])
			if err != nil {
				return err
			}
			return p.Share(ctx, p.name, nil, nil)
		}),
	}
}

func publishCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "publish PATH", Short: "Make a public link to an object and show it", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos publish photos/a.jpg",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := objectAt(c, args[0])
			if err != nil {
				return err
			}
			link, err := p.Publish(ctx, p.name)
			if err != nil {
				return err
			}
			fmt.Fprintln(t.out, link)
			return nil
		}),
	}
}

func unpublishCommand(_ *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "unpublish PATH", Short: "Withdraw the public link of an object", Args: cobra.ExactArgs(1), Long: remoteHelp, Example: "  pithos unpublish photos/a.jpg",
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := objectAt(c, args[0])
			if err != nil {
				return err
			}
			return p.Unpublish(ctx, p.name)
		}),
	}
}
