package main

import "github.com/spf13/cobra"

// objectCommands work on the objects of a service as on files.
func objectCommands(t *terminal) []*cobra.Command {
	all := []*cobra.Command{loginCommand(t), profileCommand(t)}
	for _, some := range []struct {
		complete completion
		commands []*cobra.Command
	}{
		{completeFirst, []*cobra.Command{getCommand(t)}},
		{completeLater, []*cobra.Command{putCommand(t), diffCommand(t)}},
		{completeRemote, []*cobra.Command{
			lsCommand(t), treeCommand(t), duCommand(t), catCommand(t), statCommand(t), cpCommand(t), mvCommand(t), rmCommand(t), mkdirCommand(t),
			versionsCommand(t), restoreCommand(t), shareCommand(t), unshareCommand(t), publishCommand(t), unpublishCommand(t),
		}},
	} {
		for _, cmd := range some.commands {
			cmd.ValidArgsFunction = some.complete
			all = append(all, cmd)
		}
	}
	return all
}
