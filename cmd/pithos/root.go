package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/server"
)

// terminal is where a command reads and writes, with the flags that all commands share.
type terminal struct {
	in       io.Reader
	out, err io.Writer

	configFile string
	data       string
	json       bool
	bars       bool // err is a terminal: progress is drawn on it
}

const rootHelp = `Pithos stores objects and serves them over the S3, Swift and Pithos+ APIs.

Without any configuration it keeps everything in ./pithos-data, listens on
127.0.0.1:9000 and makes an administrator on its first start:

  pithos serve

Users, keys and accounts are managed while the server runs or when it is stopped:

  pithos user add alice
  pithos account quota alice --bytes 10GiB

` + exitCodes

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:           "pithos",
		Short:         "An object store that speaks S3",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&t.configFile, "config", "c", "", "YAML `file` with the configuration ($"+config.VariableConfig+")")
	flags.StringVar(&t.data, "data", "", "data `directory` ($"+config.Variable("data")+"; default "+config.Default().Data+")")
	flags.String("profile", "", "`name` of the service to work on, for the commands on objects ($"+variableProfile+"; see pithos profile)")
	_ = root.RegisterFlagCompletionFunc("profile", completeProfiles) // never fails: the flag is there
	root.AddCommand(
		serveCommand(t), credentialsCommand(t), userCommand(t), keyCommand(t), groupCommand(t), accountCommand(t), usageCommand(t),
		keyringCommand(t), fsckCommand(t), gcCommand(t), scrubCommand(t), schemaCommand(t), migrateCommand(t), devCommand(t), configCommand(t), versionCommand(t),
	)
	root.AddCommand(objectCommands(t)...)
	root.AddCommand(syncCommand(t))
	root.SetCompletionCommandGroupID("")
	return root
}

// load reads the configuration with the settings given as flags, by key.
func (t *terminal) load(flags map[string]string) (*config.Config, error) {
	if flags == nil {
		flags = map[string]string{}
	}
	if t.data != "" {
		flags["data"] = t.data
	}
	return config.Load(config.Sources{File: t.settingsFile(), Environ: os.Environ(), Flags: flags})
}

// settingsFile is the configuration file; "" for none.
func (t *terminal) settingsFile() string {
	return cmp.Or(t.configFile, os.Getenv(config.VariableConfig))
}

// connect runs fn with the admin API of the data directory, of the running server or, when none runs, in this process.
func (t *terminal) connect(ctx context.Context, fn func(c *admin.Client, online bool) error) (err error) {
	cfg, err := t.load(nil)
	if err != nil {
		return err
	}
	client, online, closeAll, err := server.Connect(ctx, t.serverOptions(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	return fn(client, online)
}

// serverOptions are the options for work without a server: only warnings are told.
func (t *terminal) serverOptions(cfg *config.Config) server.Options {
	log := cfg.Log
	log.Level = max(log.Level, slog.LevelWarn)
	return server.Options{Config: cfg, File: t.settingsFile(), Open: server.OpenEmbedded(nil), Version: version(), Log: server.NewLog(t.err, log)}
}

func versionCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Example: "  pithos version\n  pithos version --json",
		Args:    cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
				Format  int    `json:"data_format"`
			}{version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, server.DataFormat}
			if t.json {
				return t.printJSON(v)
			}
			fmt.Fprintf(t.out, "pithos %s (%s, %s/%s, data format %d)\n", v.Version, v.Go, v.OS, v.Arch, v.Format)
			return nil
		}),
	}
	t.addJSON(cmd)
	return cmd
}

// version is that of the module, or the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
