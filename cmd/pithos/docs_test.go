package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

const docsFile = "../../docs/cli.md"

// TestDocs holds docs/cli.md to the help of the commands.
func TestDocs(t *testing.T) {
	want := document()
	if *update {
		if err := os.WriteFile(docsFile, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say; write it anew with go test ./cmd/pithos -run TestDocs -update:\n%s", diff)
	}
}

// TestEveryCommand wants examples in every command's help, and a script that runs it.
func TestEveryCommand(t *testing.T) {
	var scripts strings.Builder
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	all := strings.ReplaceAll(scripts.String(), "pithos --profile bob ", "pithos ")
	for _, cmd := range commands() {
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		if !strings.Contains(all, cmd.CommandPath()+" ") && !strings.Contains(all, cmd.CommandPath()+"\n") && !strings.Contains(cmd.Long+cmd.CommandPath(), "assandra") && cmd.Parent().Name() != "schema" {
			t.Errorf("no script runs %s", cmd.CommandPath())
		}
	}
}

// commands are all commands that do something, in the order of their names.
func commands() (all []*cobra.Command) {
	root := newRoot(&terminal{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, each := range c.Commands() {
			if each.Hidden || each.Name() == "help" || each.Name() == "completion" {
				continue
			}
			if each.HasSubCommands() {
				walk(each)
				continue
			}
			all = append(all, each)
		}
	}
	walk(root)
	return all
}

// document is docs/cli.md.
func document() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The command line

<!-- Made from the help of the commands by "go test ./cmd/pithos -run TestDocs -update"; edit it there. -->

One program is the service, the tool to run it with, and its client. %s tells all of this too; %s
makes completion for bash, zsh, fish and PowerShell, which also completes names of containers and objects at the service.

`, "`pithos COMMAND --help`", "`pithos completion SHELL`")
	b.WriteString("```text\n" + exitCodes + "\n```\n\n## Names of objects\n\n" + remoteHelp + "\n")
	for _, cmd := range commands() {
		long := cmd.Long
		if long == "" {
			long = cmd.Short + "."
		}
		long = strings.TrimSpace(strings.TrimSuffix(long, remoteHelp))
		if long == "" {
			long = cmd.Short + "."
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```text\n%s\n", cmd.CommandPath(), long, cmd.UseLine())
		if flags := cmd.LocalFlags().FlagUsages(); cmd.Flags().Lookup("s3-listen") != nil {
			b.WriteString("\nA flag for every setting of docs/configuration.md.\n")
		} else if flags != "" {
			b.WriteString("\n" + flags)
		}
		b.WriteString("```\n\n```sh\n")
		for line := range strings.Lines(cmd.Example) {
			b.WriteString(strings.TrimPrefix(line, "  "))
		}
		b.WriteString("\n```\n")
	}
	return b.Bytes()
}
