package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"pithos/internal/config"
	"pithos/internal/server"
)

const serveHelp = `Serve the S3 API until SIGTERM or Ctrl-C.

Everything is kept in the data directory (--data, ./pithos-data by default). The
first start makes an administrator and shows its keys once; "pithos credentials"
shows them again.

Settings come from the file that --config names, then from PITHOS_ variables,
then from the flags below; later ones win. docs/configuration.md lists them all.

On SIGTERM new requests are refused and running ones get 30 seconds to finish
(--limits-drain-timeout); a second signal ends the process at once. Nothing that
was answered is lost either way. On SIGHUP certificates and the users of
keystore.users are read from their files again.`

const serveExamples = `  pithos serve
  pithos serve --data /srv/pithos --s3-listen :9000 --s3-domains s3.example.org
  pithos serve --config /etc/pithos.yaml
  PITHOS_LOG_FORMAT=json pithos serve`

func serveCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Serve the S3 API", Long: serveHelp, Example: serveExamples, Args: cobra.NoArgs}
	settings := addSettings(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		flags := settings(cmd)
		cfg, err := t.load(flags)
		if err != nil {
			return err
		}
		// The first signal stops in order; releasing the handler lets the second one kill.
		ctx, release := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer release()
		go func() {
			<-ctx.Done()
			release()
		}()
		again, stopHearing := hangups(ctx)
		defer stopHearing()
		log := server.NewLog(t.err, cfg.Log)
		return server.Run(ctx, server.Options{
			Config: cfg, Version: version(), Log: log, Started: t.banner, Again: again,
			File: t.settingsFile(), Reload: func() (*config.Config, error) { return t.load(flags) },
			Open: server.OpenEmbedded(func(err error) {
				fmt.Fprintln(t.err, "pithos: the data directory cannot be written any more:", err)
				os.Exit(exitFailed)
			}),
		})
	})
	return cmd
}

// hangups tells of each SIGHUP until ctx ends.
func hangups(ctx context.Context) (again <-chan struct{}, stop func()) {
	signals, told := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			select {
			case told <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return told, func() { signal.Stop(signals) }
}

// addSettings adds a flag for each setting but "data", which all commands have, and returns how to read those that were given.
func addSettings(cmd *cobra.Command) func(*cobra.Command) map[string]string {
	all := config.Settings()
	for _, s := range all {
		if s.Key == "data" {
			continue
		}
		usage := fmt.Sprintf("%s ($%s)", s.Doc, s.Variable)
		if s.Default != "" {
			usage = fmt.Sprintf("%s ($%s; default %s)", s.Doc, s.Variable, s.Default)
		}
		f := cmd.Flags().VarPF(&text{kind: s.Kind}, s.Flag, "", unquoted(usage))
		f.DefValue = ""
	}
	return func(cmd *cobra.Command) map[string]string {
		given := map[string]string{}
		for _, s := range all {
			if f := cmd.Flags().Lookup(s.Flag); s.Key != "data" && f != nil && f.Changed {
				given[s.Key] = f.Value.String()
			}
		}
		return given
	}
}

// text is a flag's value as written; the configuration checks it.
type text struct{ kind, value string }

func (v *text) String() string     { return v.value }
func (v *text) Set(s string) error { v.value = s; return nil }
func (v *text) Type() string       { return unquoted(v.kind) }

// unquoted drops the marks for code, which a terminal does not show and pflag takes for the name of the value.
func unquoted(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r != '`' {
			out = append(out, r)
		}
	}
	return string(out)
}

// banner tells people where the service is, and on the first start how to sign in.
func (t *terminal) banner(s server.Started) {
	fmt.Fprintf(t.out, "Pithos is ready.\n  S3 endpoint  %s  (region %s)\n  Admin        %s\n  Data         %s\n", s.S3, s.Region, s.Admin, s.Data)
	if s.OpenStack != "" {
		fmt.Fprintf(t.out, "  OpenStack    %s  (sign in at %s/auth/v1.0)\n", s.OpenStack, s.OpenStack)
	}
	if s.Credentials == nil {
		return
	}
	fmt.Fprintf(t.out, `
The administrator was made. These keys are shown once; "pithos credentials" shows them again.
  Access key   %s
  Secret key   %s

Try it:
  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s
  aws --endpoint-url %s s3 mb s3://first
`, s.Credentials.AccessKey, s.Credentials.Secret, s.Credentials.AccessKey, s.Credentials.Secret, s.Region, s.S3)
}

func credentialsCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Show the keys of the first administrator again",
		Long: `Show the keys that the first start made. They are kept in the data directory, in
credentials.json, which only its owner can read. They are as they were made: if the
key was removed since, they are of no use.`,
		Example: "  pithos credentials\n  pithos credentials --data /srv/pithos --json\n  eval \"$(pithos credentials --env)\"",
		Args:    cobra.NoArgs,
	}
	env := cmd.Flags().Bool("env", false, "write shell commands that set the AWS_ variables")
	t.addJSON(cmd)
	cmd.RunE = action(func(*cobra.Command, []string) error {
		cfg, err := t.load(nil)
		if err != nil {
			return err
		}
		c, err := server.ReadCredentials(cfg.Data)
		switch {
		case errors.Is(err, fs.ErrNotExist) && cfg.Keystore.Kind == config.File:
			return errors.New("the users of this configuration stand in its file, keystore.users; the server made none")
		case errors.Is(err, fs.ErrNotExist):
			abs, _ := filepath.Abs(cfg.Data) // only for the message
			return &failure{exitUnreachable, fmt.Errorf("no server has run in %s yet; run pithos serve first, or name the right directory with --data DIR", abs)}
		case err != nil:
			return err
		}
		endpoint := ""
		if e, err := server.ReadEndpoints(cfg.Data); err == nil {
			endpoint = e.S3
		}
		switch {
		case t.json:
			return t.printJSON(map[string]string{
				"account": c.Account, "user": c.User, "access_key": c.AccessKey, "secret_key": c.Secret, "endpoint": endpoint, "region": cfg.S3.Region,
			})
		case *env:
			fmt.Fprintf(t.out, "export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s\n", c.AccessKey, c.Secret, cfg.S3.Region)
			if endpoint != "" {
				fmt.Fprintf(t.out, "export AWS_ENDPOINT_URL=%s\n", endpoint)
			}
			return nil
		}
		return t.facts([2]string{"S3 endpoint", endpoint}, [2]string{"Region", cfg.S3.Region}, [2]string{"User", c.User},
			[2]string{"Access key", c.AccessKey}, [2]string{"Secret key", c.Secret})
	})
	return cmd
}
