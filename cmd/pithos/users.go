package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/admin"
)

// group is a command that only has commands below it.
func group(use, short, long string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(below...)
	return cmd
}

func userCommand(t *terminal) *cobra.Command {
	return group("user", "Add, show and remove users", `Users sign in with access keys and belong to an account, which owns their buckets. A
user's id is ACCOUNT:NAME; where the account has the user's name, NAME alone will do.

These commands talk to the running server, or work on the data directory when none
runs. With keystore.kind "file" users can be shown only: they stand in the file.`,
		userAdd(t), userList(t), userShow(t), userSwitch(t, "disable", true), userSwitch(t, "enable", false), userSet(t), userPolicy(t), userRemove(t))
}

// userID completes a short name: "alice" is "alice:alice".
func userID(arg string) string {
	if strings.Contains(arg, ":") {
		return arg
	}
	return arg + ":" + arg
}

func userAdd(t *terminal) *cobra.Command {
	var n admin.NewUser
	var noRoles, password, secret bool
	cmd := &cobra.Command{
		Use:   "add [ACCOUNT:]NAME",
		Short: "Add a user, and its account if it is new",
		Long: `Add a user with an access key, whose secret is shown once. The account is made if it
does not exist. Without --role the user is administrator of its account.`,
		Example: `  pithos user add alice
  pithos user add acme:backup --no-roles
  pithos user add acme:bob --display-name "Bob B." --email bob@example.org --password-stdin < password
  pithos user add acme:ci --access-key CIKEY --secret-key-stdin < secret`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&n.DisplayName, "display-name", "", "name to show")
	f.StringVar(&n.Email, "email", "", "e-mail address")
	f.StringSliceVar(&n.Roles, "role", nil, "role; admin (of the account) by default; reseller_admin may do everything everywhere")
	f.BoolVar(&noRoles, "no-roles", false, "give no role: the user may do only what others allow it")
	f.StringSliceVar(&n.Groups, "group", nil, "group that the user is in")
	f.BoolVar(&password, "password-stdin", false, "read a password from the first line of the input")
	f.BoolVar(&n.NoKey, "no-key", false, "make no access key")
	f.StringVar(&n.AccessKey, "access-key", "", "access key to use instead of a random one; needs --secret-key-stdin")
	f.BoolVar(&secret, "secret-key-stdin", false, "read the secret key from the input (after the password, if both)")
	cmd.MarkFlagsMutuallyExclusive("role", "no-roles")
	cmd.MarkFlagsMutuallyExclusive("no-key", "access-key")
	cmd.MarkFlagsRequiredTogether("access-key", "secret-key-stdin")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		n.Account, n.Name, _ = strings.Cut(userID(args[0]), ":")
		if noRoles {
			n.Roles = []string{}
		}
		in := bufio.NewReader(t.in)
		var err error
		if password {
			if n.Password, err = readLine(in, "password"); err != nil {
				return err
			}
		}
		if secret {
			if n.Secret, err = readLine(in, "secret key"); err != nil {
				return err
			}
		}
		var u admin.User
		if err := t.do(cmd.Context(), http.MethodPost, "/v1/users", n, &u); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(u)
		}
		fmt.Fprintf(t.out, "Added user %s.\n", printable(u.ID))
		for _, k := range u.Keys {
			fmt.Fprintf(t.out, "The secret key is shown only now:\n  Access key  %s\n  Secret key  %s\n", k.AccessKey, k.Secret)
		}
		return nil
	})
	return cmd
}

// readLine reads one line without its end.
func readLine(in *bufio.Reader, what string) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the %s cannot be read: %w", what, err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", &failure{exitUsage, fmt.Errorf("the input has no %s; write it there on a line of its own", what)}
	}
	return line, nil
}

// do sends one request to the admin API.
func (t *terminal) do(ctx context.Context, method, path string, in, out any) error {
	return t.connect(ctx, func(c *admin.Client, _ bool) error { return c.Do(ctx, method, path, nil, in, out) })
}

// list reads a whole list from the admin API.
func list[T any](ctx context.Context, t *terminal, path string, query url.Values) ([]T, error) {
	items := []T{}
	err := t.connect(ctx, func(c *admin.Client, _ bool) error {
		return admin.Each(ctx, c, path, query, func(item T) { items = append(items, item) })
	})
	return items, err
}

func userList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List users", Example: "  pithos user list\n  pithos user list --account acme --json", Args: cobra.NoArgs,
	}
	account := cmd.Flags().String("account", "", "only users of this account")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		users, err := list[admin.User](cmd.Context(), t, "/v1/users", url.Values{"account": {*account}})
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(users)
		}
		rows := make([][]string, len(users))
		for i, u := range users {
			rows[i] = []string{u.ID, u.DisplayName, strings.Join(u.Roles, ","), showState(u.Disabled), showTime(u.Created)}
		}
		return t.table("There are no users. Add one with: pithos user add NAME", []string{"USER", "DISPLAY NAME", "ROLES", "STATE", "CREATED"}, rows)
	})
	return cmd
}

func userShow(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show [ACCOUNT:]NAME", Short: "Show a user and its keys, without secrets", Example: "  pithos user show alice\n  pithos user show acme:backup --json", Args: cobra.ExactArgs(1),
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		var u admin.User
		if err := t.do(cmd.Context(), http.MethodGet, "/v1/users/"+url.PathEscape(userID(args[0])), nil, &u); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(u)
		}
		password := "no"
		if u.Password {
			password = "yes"
		}
		err := t.facts([2]string{"User", u.ID}, [2]string{"Account", u.Account}, [2]string{"Display name", u.DisplayName}, [2]string{"E-mail", u.Email},
			[2]string{"Roles", strings.Join(u.Roles, ", ")}, [2]string{"Groups", strings.Join(u.Groups, ", ")}, [2]string{"Password", password},
			[2]string{"Policies", strings.Join(u.Policies, ", ")},
			[2]string{"State", showState(u.Disabled)}, [2]string{"Created", showTime(u.Created)})
		if err != nil {
			return err
		}
		fmt.Fprintln(t.out)
		return t.keyTable(u.Keys)
	})
	return cmd
}

func userSwitch(t *terminal, verb string, disabled bool) *cobra.Command {
	short := "Let a user sign in again"
	if disabled {
		short = "Refuse a user's requests until it is enabled again"
	}
	return &cobra.Command{
		Use: verb + " [ACCOUNT:]NAME", Short: short, Example: "  pithos user " + verb + " alice", Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			id := userID(args[0])
			if err := t.do(cmd.Context(), http.MethodPatch, "/v1/users/"+url.PathEscape(id), admin.UserChange{Disabled: &disabled}, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "User %s is now %s.\n", printable(id), showState(disabled))
			return nil
		}),
	}
}

func userRemove(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "remove [ACCOUNT:]NAME", Short: "Remove a user and its keys", Args: cobra.ExactArgs(1),
		Long:    "Remove a user and its keys. What it stored belongs to its account and stays.",
		Example: "  pithos user remove acme:backup",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			id := userID(args[0])
			if err := t.do(cmd.Context(), http.MethodDelete, "/v1/users/"+url.PathEscape(id), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Removed user %s.\n", printable(id))
			return nil
		}),
	}
}

func keyCommand(t *terminal) *cobra.Command {
	return group("key", "Add, list and remove access keys", "Access keys are what S3 clients sign with. A user may have several, for example one for each program.",
		keyAdd(t), keyList(t), keySwitch(t, "disable", true), keySwitch(t, "enable", false), keyRemove(t))
}

func keyAdd(t *terminal) *cobra.Command {
	var n admin.NewKey
	var secret bool
	var lifetime, expires, policyFile string
	cmd := &cobra.Command{
		Use: "add [ACCOUNT:]NAME", Aliases: []string{"create"}, Short: "Give a user another access key", Args: cobra.ExactArgs(1),
		Long: `Give a user another access key. Its secret is shown once. With a policy the key may do
only what the policy allows of what its user may.`,
		Example: `  pithos key add alice
  pithos key add acme:ci --expires-in 90d
  pithos key add acme:ci --policy read-only.json --expires 2027-01-31T00:00:00Z
  pithos key add alice --access-key MYKEY --secret-key-stdin < secret`,
	}
	f := cmd.Flags()
	f.StringVar(&n.AccessKey, "access-key", "", "access key to use instead of a random one; needs --secret-key-stdin")
	f.BoolVar(&secret, "secret-key-stdin", false, "read the secret key from the input")
	f.StringVar(&lifetime, "expires-in", "", "`time` after which the key ends, for example 24h or 90d; never by default")
	f.StringVar(&expires, "expires", "", "`time` at which the key ends, as 2027-01-31T00:00:00Z")
	f.StringVar(&policyFile, "policy", "", "`file` with a policy that bounds what the key may do; - reads the input")
	cmd.MarkFlagsRequiredTogether("access-key", "secret-key-stdin")
	cmd.MarkFlagsMutuallyExclusive("expires", "expires-in")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		n.User = userID(args[0])
		var err error
		if expires != "" {
			if n.Expires, err = time.Parse(time.RFC3339, expires); err != nil {
				return &failure{exitUsage, fmt.Errorf("--expires: %q is not a time; write for example 2027-01-31T00:00:00Z", expires)}
			}
		}
		in := bufio.NewReader(t.in)
		if secret { // it is the first line of the input, also when a policy follows there
			if n.Secret, err = readLine(in, "secret key"); err != nil {
				return err
			}
		}
		if policyFile != "" {
			if n.Policy, err = readPolicy(in, policyFile); err != nil {
				return err
			}
		}
		if lifetime != "" {
			d, err := config.ParseDuration(lifetime)
			if err != nil {
				return &failure{exitUsage, fmt.Errorf("--expires-in: %w", err)}
			}
			n.Expires = clock.System{}.Now().UTC().Add(d).Truncate(time.Second)
		}
		var k admin.Key
		if err := t.do(cmd.Context(), http.MethodPost, "/v1/keys", n, &k); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(k)
		}
		fmt.Fprintf(t.out, "Added a key of user %s. The secret key is shown only now:\n  Access key  %s\n  Secret key  %s\n", printable(k.User), k.AccessKey, k.Secret)
		return nil
	})
	return cmd
}

func keyList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [[ACCOUNT:]NAME]", Short: "List the access keys of a user, or of all", Example: "  pithos key list\n  pithos key list alice --json", Args: cobra.MaximumNArgs(1),
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		if len(args) == 1 {
			query.Set("user", userID(args[0]))
		}
		keys, err := list[admin.Key](cmd.Context(), t, "/v1/keys", query)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(keys)
		}
		return t.keyTable(keys)
	})
	return cmd
}

func (t *terminal) keyTable(keys []admin.Key) error {
	rows := make([][]string, len(keys))
	for i, k := range keys {
		expires := showTime(k.Expires)
		if expires == "" {
			expires = "never"
		}
		bound := ""
		if k.Policy != nil {
			bound = "policy"
		}
		rows[i] = []string{k.AccessKey, k.User, showState(k.Disabled), showTime(k.Created), expires, bound}
	}
	return t.table("There are no access keys. Add one with: pithos key add USER", []string{"ACCESS KEY", "USER", "STATE", "CREATED", "EXPIRES", "BOUND BY"}, rows)
}

func keySwitch(t *terminal, verb string, disabled bool) *cobra.Command {
	short := "Accept a key again"
	if disabled {
		short = "Refuse a key until it is enabled again"
	}
	return &cobra.Command{
		Use: verb + " ACCESS_KEY", Short: short, Example: "  pithos key " + verb + " PKEXAMPLEEXAMPLE2345", Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := t.do(cmd.Context(), http.MethodPatch, "/v1/keys/"+url.PathEscape(args[0]), admin.KeyChange{Disabled: &disabled}, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Key %s is now %s.\n", printable(args[0]), showState(disabled))
			return nil
		}),
	}
}

func keyRemove(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "remove ACCESS_KEY", Short: "Remove an access key for good", Example: "  pithos key remove PKEXAMPLEEXAMPLE2345", Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := t.do(cmd.Context(), http.MethodDelete, "/v1/keys/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Removed key %s.\n", printable(args[0]))
			return nil
		}),
	}
}
