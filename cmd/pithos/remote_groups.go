package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pithos/client"
)

// sharingGroups are the commands for groups that objects are shared with.
func sharingGroups(t *terminal) []*cobra.Command {
	return []*cobra.Command{
		groupList(t),
		groupChange("create GROUP MEMBER...", "Make a group", 2,
			"Make a group. Members are accounts and users (ACCOUNT:NAME).", "  pithos group create team bob lab:carol",
			func(now, given []string, there bool) ([]string, error) {
				if there {
					return nil, &failure{exitConflict, fmt.Errorf("the group is there already; pithos group add adds members")}
				}
				return given, nil
			}),
		groupChange("add GROUP MEMBER...", "Add members to a group", 2, "Add members to a group.", "  pithos group add team dave",
			func(now, given []string, there bool) ([]string, error) {
				if !there {
					return nil, &failure{exitNotFound, fmt.Errorf("there is no such group; pithos group create makes one")}
				}
				return append(without(now, given), given...), nil
			}),
		groupChange("remove GROUP MEMBER...", "Remove members from a group", 2, "Remove members from a group. A group without members is no more.", "  pithos group remove team bob",
			func(now, given []string, _ bool) ([]string, error) {
				for _, m := range given {
					if !slices.Contains(now, m) {
						return nil, &failure{exitNotFound, fmt.Errorf("%s is not in the group", printable(m))}
					}
				}
				return without(now, given), nil
			}),
		groupChange("delete GROUP", "Delete a group", 1, "Delete a group. What was shared with it is shared with nobody in its stead.", "  pithos group delete team",
			func(_, _ []string, there bool) ([]string, error) {
				if !there {
					return nil, &failure{exitNotFound, fmt.Errorf("there is no such group")}
				}
				return nil, nil
			}),
	}
}

func groupList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List your groups and who is in them", Args: cobra.NoArgs, Example: "  pithos group list",
		Long: "List the groups of your account that objects can be shared with (as ACCOUNT:GROUP), and their members.",
	}
	t.addJSON(cmd)
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, _ []string) error {
		groups, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(groups)
		}
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			rows = append(rows, []string{name, strings.Join(groups[name], ", ")})
		}
		return t.table("No groups. Make one with: pithos group create", []string{"GROUP", "MEMBERS"}, rows)
	})
	return cmd
}

// groupChange makes a command that changes the members of a group.
func groupChange(use, short string, atLeast int, long, example string, next func(now, given []string, there bool) ([]string, error)) *cobra.Command {
	args := cobra.MinimumNArgs(atLeast)
	if atLeast == 1 {
		args = cobra.ExactArgs(1)
	}
	return &cobra.Command{
		Use: use, Short: short, Args: args, Long: long, Example: example, ValidArgsFunction: completeGroups,
		RunE: onService(func(ctx context.Context, c *client.Client, args []string) error {
			name := strings.ToLower(args[0])
			groups, err := c.Groups(ctx)
			if err != nil {
				return err
			}
			members, there := groups[name]
			members, err = next(members, args[1:], there)
			if err != nil {
				return err
			}
			return c.SetGroup(ctx, name, members)
		}),
	}
}
