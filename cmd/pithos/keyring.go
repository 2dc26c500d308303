package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pithos/internal/clock"
	"pithos/internal/server"
)

func keyringCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "keyring", Short: "Manage the keys of server-side encryption",
		Long: `The key ring has the keys with which the service encrypts objects (SSE-S3). New
objects are encrypted under its current key; earlier keys stay, for what they
encrypted. Keys themselves are never shown. A running server notices changes.

With --file the keys of another file are managed, for example those of a local key
service (encryption.kms.file).

Keep a copy of the file apart from the data: what its keys encrypted is lost without it.`,
		Example: "  pithos keyring list\n  pithos keyring rotate\n  pithos keyring add payroll --file /etc/pithos/kms.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	file := cmd.PersistentFlags().String("file", "", "`file` with the keys; by default encryption.keyring, or keyring.json in the data directory")
	ring := func() (server.Keyring, error) {
		k := server.Keyring{Path: *file, Clock: clock.System{}}
		if k.Path != "" {
			return k, nil
		}
		cfg, err := t.load(nil)
		if err == nil {
			k.Path = cfg.KeyringPath()
		}
		return k, err
	}
	cmd.AddCommand(keyringList(t, ring), keyringAdd(t, ring, false), keyringAdd(t, ring, true), keyringUse(t, ring))
	return cmd
}

// shownKey is a key in the output; the secret is not part of it.
type shownKey struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Current bool      `json:"current"`
}

func keyringList(t *terminal, ring func() (server.Keyring, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the names of the keys", Args: cobra.NoArgs, Example: "  pithos keyring list --json"}
	t.addJSON(cmd)
	cmd.RunE = action(func(*cobra.Command, []string) error {
		k, err := ring()
		if err != nil {
			return err
		}
		keys, err := k.List()
		if err != nil {
			return err
		}
		list := make([]shownKey, len(keys))
		for i, key := range keys {
			list[i] = shownKey{key.ID, key.Created, key.Current}
		}
		if t.json {
			return t.printJSON(list)
		}
		w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tCREATED\t")
		for _, key := range list {
			mark := ""
			if key.Current {
				mark = "current"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", printable(key.Name), key.Created.Format(time.RFC3339), mark)
		}
		return w.Flush()
	})
	return cmd
}

func keyringAdd(t *terminal, ring func() (server.Keyring, error), use bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "add [NAME]", Short: "Add a key without using it yet", Args: cobra.MaximumNArgs(1),
		Long: `Add a fresh key. The first key of a file is used at once, others after "pithos keyring
use". Where several gateways share a key ring, add the key, give the file to all of
them, and only then use it.`,
		Example: "  pithos keyring add\n  pithos keyring add payroll --file /etc/pithos/kms.json",
	}
	if use {
		cmd.Use, cmd.Short = "rotate [NAME]", "Add a key and use it from now on"
		cmd.Long = `Add a fresh key and encrypt new objects under it. No data is rewritten: objects that
exist stay under the key they have, which stays in the ring.`
		cmd.Example = "  pithos keyring rotate"
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(_ *cobra.Command, args []string) error {
		k, err := ring()
		if err != nil {
			return err
		}
		name := ""
		if len(args) > 0 {
			if name = args[0]; name == "" {
				return errors.New("write a name, or leave it out to have one made")
			}
		}
		if name, err = k.Add(name, use); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(map[string]string{"name": name})
		}
		_, err = fmt.Fprintf(t.out, "Added the key %s to %s. Keep a copy of that file apart from the data.\n", printable(name), printable(k.Path))
		return err
	})
	return cmd
}

func keyringUse(t *terminal, ring func() (server.Keyring, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "use NAME", Short: "Encrypt new objects under this key", Args: cobra.ExactArgs(1), Example: "  pithos keyring use 20260301T120000Z-1a2b3c4d",
	}
	cmd.RunE = action(func(_ *cobra.Command, args []string) error {
		k, err := ring()
		if err != nil {
			return err
		}
		if err := k.Use(args[0]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.out, "New objects are encrypted under the key %s.\n", printable(args[0]))
		return err
	})
	return cmd
}
