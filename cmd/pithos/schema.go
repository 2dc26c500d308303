package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pithos/internal/server"
)

func schemaCommand(t *terminal) *cobra.Command {
	sub := func(use, short, long string, what server.SchemaAction) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, Example: "  pithos schema " + use + " --config /etc/pithos.yaml"}
		settings := addSettings(cmd)
		cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.load(settings(cmd))
			if err != nil {
				return err
			}
			return server.Schemas(cmd.Context(), t.serverOptions(cfg), what, func(text string) { fmt.Fprint(t.out, text) })
		})
		return cmd
	}
	return group("schema", "Manage the schema of stores on Cassandra", "",
		sub("install", "Make keyspaces and tables", `Make the keyspace and tables of each store of kind cassandra. It may be repeated, and continues
where it was stopped. The replication comes from the store's replication setting.`, server.SchemaInstall),
		sub("upgrade", "Bring keyspaces to this version", "Bring the schema of existing keyspaces to the version that this program serves.", server.SchemaUpgrade),
		sub("check", "Check schema and cluster", "Check that each cluster has the schema that this program serves. Nothing is changed.", server.SchemaCheck),
		sub("print", "Show the CQL of an installation", "Write the statements that \"pithos schema install\" runs, for those who run them by hand. No cluster is asked.", server.SchemaPrint),
	)
}
