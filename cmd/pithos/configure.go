package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func configCommand(t *terminal) *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration without starting anything", Args: cobra.NoArgs,
		Long:    "Read the configuration as \"pithos serve\" would and list every fault with its place. Exit codes: 0 good, 2 faults.",
		Example: "  pithos config check --config /etc/pithos.yaml",
	}
	checkSettings := addSettings(check)
	check.RunE = action(func(cmd *cobra.Command, _ []string) error {
		cfg, err := t.load(checkSettings(cmd))
		if err != nil {
			return err
		}
		for _, note := range cfg.Notes {
			fmt.Fprintln(t.err, "note: "+note)
		}
		fmt.Fprintln(t.out, "The configuration is good.")
		return nil
	})
	show := &cobra.Command{
		Use: "print", Short: "Show what file, variables and flags come to", Args: cobra.NoArgs,
		Long:    "Write the whole configuration as YAML, defaults included. Secrets and passwords are hidden.",
		Example: "  pithos config print\n  pithos config print --config /etc/pithos.yaml --log-level debug",
	}
	showSettings := addSettings(show)
	show.RunE = action(func(cmd *cobra.Command, _ []string) error {
		cfg, err := t.load(showSettings(cmd))
		if err != nil {
			return err
		}
		_, err = t.out.Write(cfg.YAML())
		return err
	})
	return group("config", "Check and show the configuration", "", check, show)
}
