package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pithos/internal/access/policy"
	"pithos/internal/door/admin"
)

// readPolicy reads a policy from a file, or from the input when the name is "-".
func readPolicy(in io.Reader, name string) (json.RawMessage, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &failure{exitUsage, err}
		}
		defer f.Close() //nolint:errcheck // it is only read from
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, policy.BucketMax))
	if err != nil {
		return nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	if _, err := policy.Parse(text, policy.Identity); err != nil {
		return nil, &failure{exitUsage, fmt.Errorf("%s: %w", name, err)}
	}
	return text, nil
}

// attached is what has policies: a user or a group, as the commands name it.
type attached struct {
	use  string // its arguments
	what string
	args int
	path func(args []string) string
	ex   string // arguments of an example
}

func userPolicy(t *terminal) *cobra.Command {
	return policyCommands(t, attached{
		"[ACCOUNT:]NAME", "user", 1,
		func(args []string) string { return "/v1/users/" + url.PathEscape(userID(args[0])) }, "acme:backup",
	})
}

func groupCommand(t *terminal) *cobra.Command {
	return group("group", "Groups that objects are shared with, and policies of groups of users", `"list", "create", "add", "remove" and "delete" change the groups of your own account that objects
are shared with, at the service that you are signed in to (pithos share PATH --read ACCOUNT:GROUP).

"policy" is for administrators of the data directory: there a group is a name that users
carry (pithos user set --group), and policies attached to it apply to every user of the
account that is in it.`,
		append(sharingGroups(t), policyCommands(t, attached{
			"ACCOUNT GROUP", "group", 2,
			func(args []string) string {
				return "/v1/accounts/" + url.PathEscape(args[0]) + "/groups/" + url.PathEscape(args[1])
			}, "acme readers",
		}))...)
}

func policyCommands(t *terminal, a attached) *cobra.Command {
	return group("policy", "Show and change the policies of a "+a.what, `Policies are written in the language of AWS IAM, without a Principal. They allow users without
the admin role what they name, inside their own account; what they deny is denied to
administrators too.`, policyList(t, a), policyShow(t, a), policyPut(t, a), policyRemove(t, a))
}

// policiesOf reads all policies.
func (t *terminal) policiesOf(cmd *cobra.Command, a attached, args []string) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	err := t.do(cmd.Context(), http.MethodGet, a.path(args)+"/policies", nil, &all)
	return all, err
}

func policyList(t *terminal, a attached) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list " + a.use, Short: "List the policies of a " + a.what, Args: cobra.ExactArgs(a.args), Example: "  pithos " + a.what + " policy list " + a.ex,
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		all, err := t.policiesOf(cmd, a, args)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(all)
		}
		rows := [][]string{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			rows = append(rows, []string{name, showBytes(int64(len(all[name])))})
		}
		return t.table("There are no policies. Attach one with: pithos "+a.what+" policy put", []string{"POLICY", "SIZE"}, rows)
	})
	return cmd
}

func policyShow(t *terminal, a attached) *cobra.Command {
	return &cobra.Command{
		Use: "show " + a.use + " POLICY", Short: "Show a policy", Args: cobra.ExactArgs(a.args + 1),
		Example: "  pithos " + a.what + " policy show " + a.ex + " read-photos",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			all, err := t.policiesOf(cmd, a, args)
			if err != nil {
				return err
			}
			text, ok := all[args[a.args]]
			if !ok {
				return &failure{exitNotFound, fmt.Errorf("there is no policy %s", printable(args[a.args]))}
			}
			fmt.Fprintf(t.out, "%s\n", text)
			return nil
		}),
	}
}

func policyPut(t *terminal, a attached) *cobra.Command {
	return &cobra.Command{
		Use: "put " + a.use + " POLICY FILE", Short: "Attach a policy, or replace it", Args: cobra.ExactArgs(a.args + 2),
		Long:    "Attach a policy from a file, or replace the one of that name. The file - is the input.",
		Example: "  pithos " + a.what + " policy put " + a.ex + " read-photos policy.json",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			text, err := readPolicy(bufio.NewReader(t.in), args[a.args+1])
			if err != nil {
				return err
			}
			if err := t.do(cmd.Context(), http.MethodPut, a.path(args)+"/policies/"+url.PathEscape(args[a.args]), text, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Policy %s is attached to %s %s.\n", printable(args[a.args]), a.what, printable(strings.Join(args[:a.args], " ")))
			return nil
		}),
	}
}

func policyRemove(t *terminal, a attached) *cobra.Command {
	return &cobra.Command{
		Use: "remove " + a.use + " POLICY", Short: "Take a policy away", Args: cobra.ExactArgs(a.args + 1),
		Example: "  pithos " + a.what + " policy remove " + a.ex + " read-photos",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := t.do(cmd.Context(), http.MethodDelete, a.path(args)+"/policies/"+url.PathEscape(args[a.args]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Removed policy %s.\n", printable(args[a.args]))
			return nil
		}),
	}
}

// userSet changes what a user is.
func userSet(t *terminal) *cobra.Command {
	var name, email string
	var roles, groups []string
	var noRoles, noGroups, password, noPassword bool
	cmd := &cobra.Command{
		Use: "set [ACCOUNT:]NAME", Short: "Change a user's name, e-mail address, roles, groups or password", Args: cobra.ExactArgs(1),
		Long: "Change what a user is. What is not named stays as it is; roles and groups are replaced as a whole.",
		Example: `  pithos user set acme:bob --display-name "Bob B." --email bob@example.org
  pithos user set acme:bob --group readers --group writers
  pithos user set acme:bob --no-roles
  pithos user set acme:bob --password-stdin < password`,
	}
	f := cmd.Flags()
	f.StringVar(&name, "display-name", "", "name to show")
	f.StringVar(&email, "email", "", "e-mail address")
	f.StringSliceVar(&roles, "role", nil, "role; in place of all that the user has")
	f.BoolVar(&noRoles, "no-roles", false, "take all roles away")
	f.StringSliceVar(&groups, "group", nil, "group that the user is in; in place of all others")
	f.BoolVar(&noGroups, "no-groups", false, "take the user out of all groups")
	f.BoolVar(&password, "password-stdin", false, "read a new password from the first line of the input")
	f.BoolVar(&noPassword, "no-password", false, "take the password away")
	cmd.MarkFlagsMutuallyExclusive("role", "no-roles")
	cmd.MarkFlagsMutuallyExclusive("group", "no-groups")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		var c admin.UserChange
		changed := func(names ...string) bool { return slices.ContainsFunc(names, f.Changed) }
		if changed("display-name") {
			c.DisplayName = &name
		}
		if changed("email") {
			c.Email = &email
		}
		if changed("role", "no-roles") {
			c.Roles = new(append([]string{}, roles...)) // none is an empty list, nil would change nothing
		}
		if changed("group", "no-groups") {
			c.Groups = new(append([]string{}, groups...))
		}
		if password {
			secret, err := readLine(bufio.NewReader(t.in), "password")
			if err != nil {
				return err
			}
			c.Password = &secret
		}
		if noPassword {
			c.Password = new(string)
		}
		if c == (admin.UserChange{}) {
			return &failure{exitUsage, errors.New("say what to change; pithos user set --help lists what can be")}
		}
		var u admin.User
		if err := t.do(cmd.Context(), http.MethodPatch, "/v1/users/"+url.PathEscape(userID(args[0])), c, &u); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(u)
		}
		fmt.Fprintf(t.out, "Changed user %s.\n", printable(u.ID))
		return nil
	})
	return cmd
}
