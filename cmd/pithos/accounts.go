package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"pithos/internal/config"
	"pithos/internal/door/admin"
)

func accountCommand(t *terminal) *cobra.Command {
	return group("account", "Show accounts, their usage and quotas", "Accounts own buckets; their users act for them. Adding a user makes its account, so that \"account add\" is seldom needed.",
		accountList(t), accountShow(t), accountQuota(t), accountAdd(t), accountRemove(t))
}

func accountList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts with their usage", Example: "  pithos account list\n  pithos account list --json", Args: cobra.NoArgs,
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		accounts, err := list[admin.Account](cmd.Context(), t, "/v1/accounts", nil)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(accounts)
		}
		rows := make([][]string, len(accounts))
		for i, a := range accounts {
			rows[i] = []string{
				a.ID, showCount(a.Usage.Objects), showBytes(a.Usage.Bytes), showQuota(a.Quota.Objects, showCount), showQuota(a.Quota.Bytes, showBytes), showState(a.Disabled),
			}
		}
		return t.table("There are no accounts. Add one with its first user: pithos user add NAME",
			[]string{"ACCOUNT", "OBJECTS", "BYTES", "OBJECTS QUOTA", "BYTES QUOTA", "STATE"}, rows)
	})
	return cmd
}

func accountShow(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ACCOUNT", Short: "Show an account with its usage", Example: "  pithos account show acme\n  pithos account show acme --json", Args: cobra.ExactArgs(1),
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		var a admin.Account
		if err := t.do(cmd.Context(), http.MethodGet, "/v1/accounts/"+url.PathEscape(args[0]), nil, &a); err != nil {
			return err
		}
		return t.showAccount(a)
	})
	return cmd
}

func (t *terminal) showAccount(a admin.Account) error {
	if t.json {
		return t.printJSON(a)
	}
	note := ""
	if a.Quota.Default {
		note = " (the service's default)"
	}
	return t.facts([2]string{"Account", a.ID}, [2]string{"Canonical id", a.Canonical}, [2]string{"Display name", a.DisplayName}, [2]string{"E-mail", a.Email},
		[2]string{"State", showState(a.Disabled)}, [2]string{"Created", showTime(a.Created)},
		[2]string{"Objects", showCount(a.Usage.Objects)}, [2]string{"Bytes", showBytes(a.Usage.Bytes)},
		[2]string{"Versions", fmt.Sprintf("%d (%s)", a.Usage.Versions, showBytes(a.Usage.Stored))},
		[2]string{"Open uploads", fmt.Sprintf("%d parts (%s)", a.Usage.UploadParts, showBytes(a.Usage.UploadBytes))},
		[2]string{"Objects quota", showQuota(a.Quota.Objects, showCount) + note}, [2]string{"Bytes quota", showQuota(a.Quota.Bytes, showBytes) + note})
}

func accountQuota(t *terminal) *cobra.Command {
	var bytes, objects string
	cmd := &cobra.Command{
		Use: "quota ACCOUNT", Short: "Show or set the quota of an account", Args: cobra.ExactArgs(1),
		Long: `Show the quota of an account, or set it. Writes that would pass a quota are refused;
reading and deleting always work. 0 takes a limit away; an account without any limit
of its own has the service's (quota.bytes, quota.objects).`,
		Example: "  pithos account quota acme\n  pithos account quota acme --bytes 10GiB --objects 1000000\n  pithos account quota acme --bytes 0",
	}
	cmd.Flags().StringVar(&bytes, "bytes", "", "most bytes, for example 10GiB; 0 for no limit")
	cmd.Flags().StringVar(&objects, "objects", "", "most objects; 0 for no limit")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		var change admin.AccountChange
		if bytes != "" {
			n, err := config.ParseSize(bytes)
			if err != nil {
				return &failure{exitUsage, fmt.Errorf("--bytes: %w", err)}
			}
			change.Bytes = &n
		}
		if objects != "" {
			n, err := strconv.ParseInt(objects, 10, 64)
			if err != nil || n < 0 {
				return &failure{exitUsage, fmt.Errorf("--objects: %q is not a number; write for example 1000000, or 0 for no limit", objects)}
			}
			change.Objects = &n
		}
		method, body := http.MethodGet, any(nil)
		if change.Bytes != nil || change.Objects != nil {
			method, body = http.MethodPatch, change
		}
		var a admin.Account
		if err := t.do(cmd.Context(), method, "/v1/accounts/"+url.PathEscape(args[0]), body, &a); err != nil {
			return err
		}
		return t.showAccount(a)
	})
	return cmd
}

func accountAdd(t *terminal) *cobra.Command {
	var n admin.NewAccount
	cmd := &cobra.Command{
		Use: "add ACCOUNT", Short: "Add an account without users", Args: cobra.ExactArgs(1),
		Example: "  pithos account add acme --display-name \"Acme Ltd.\" --email storage@acme.example",
	}
	cmd.Flags().StringVar(&n.DisplayName, "display-name", "", "name to show as owner")
	cmd.Flags().StringVar(&n.Email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&n.Canonical, "canonical-id", "", "canonical id in access control lists; drawn from the name by default")
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		n.ID = args[0]
		var a admin.Account
		if err := t.do(cmd.Context(), http.MethodPost, "/v1/accounts", n, &a); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(a)
		}
		fmt.Fprintf(t.out, "Added account %s. Give it a user with: pithos user add %s:NAME\n", printable(a.ID), printable(a.ID))
		return nil
	})
	return cmd
}

func accountRemove(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "remove ACCOUNT", Short: "Remove an account that has neither users nor buckets", Example: "  pithos account remove acme", Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := t.do(cmd.Context(), http.MethodDelete, "/v1/accounts/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Removed account %s.\n", printable(args[0]))
			return nil
		}),
	}
}

func usageCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what the whole service holds", Example: "  pithos usage\n  pithos usage --json", Args: cobra.NoArgs,
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		var u admin.ServiceUsage
		if err := t.do(cmd.Context(), http.MethodGet, "/v1/usage", nil, &u); err != nil {
			return err
		}
		if t.json {
			return t.printJSON(u)
		}
		return t.facts([2]string{"Accounts", showCount(u.Accounts)}, [2]string{"Objects", showCount(u.Total.Objects)}, [2]string{"Bytes", showBytes(u.Total.Bytes)},
			[2]string{"Versions", fmt.Sprintf("%d (%s)", u.Total.Versions, showBytes(u.Total.Stored))},
			[2]string{"Blocks", fmt.Sprintf("%d (%s; each stored once)", u.Store.Blocks, showBytes(u.Store.Live))},
			[2]string{"To be given back", showBytes(u.Store.Dead)}, [2]string{"On disk", showBytes(u.Store.Disk)})
	})
	return cmd
}
