package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/wholefile"
)

// Environment variables of the commands that work on objects.
const (
	variableProfile  = "PITHOS_PROFILE"
	variableProfiles = "PITHOS_PROFILES"
	variableSecret   = "PITHOS_SECRET"
)

// defaultProfile is the name of the profile that login makes when it is told none.
const defaultProfile = "default"

// profile is where the user is signed in.
type profile struct {
	Service string `json:"service"`
	User    string `json:"user"`
	Account string `json:"account"`
	Token   string `json:"token"`
}

// profiles is the file of all of them.
type profiles struct {
	Default  string              `json:"default"` // the one that is meant without a name
	Profiles map[string]*profile `json:"profiles"`

	file string
}

// profilesFile is the file of the profiles, in the user's configuration directory. It holds tokens: nobody else may read it.
func profilesFile() (string, error) {
	if file := os.Getenv(variableProfiles); file != "" {
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "pithos", "profiles.json"), nil
}

// readProfiles reads the file; one that is not there holds no profiles.
func readProfiles() (*profiles, error) {
	file, err := profilesFile()
	if err != nil {
		return nil, err
	}
	all := &profiles{file: file}
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, all)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, &failure{exitUsage, fmt.Errorf("%s cannot be read; mend it, or remove it and sign in again: %w", file, err)}
	}
	if all.Profiles == nil {
		all.Profiles = map[string]*profile{}
	}
	return all, nil
}

func (all *profiles) save() error {
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(all.file), 0o700); err != nil {
		return err
	}
	return wholefile.Write(all.file, append(raw, '\n'))
}

// chosen is the name of the profile that a command is to use: of --profile, else of the environment, else the default.
func (all *profiles) chosen(cmd *cobra.Command) string {
	if f := cmd.Flag("profile"); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	if name := os.Getenv(variableProfile); name != "" {
		return name
	}
	if all.Default == "" {
		return defaultProfile
	}
	return all.Default
}

// remote is the service that the user is signed in to.
func remote(cmd *cobra.Command) (*client.Client, error) {
	all, err := readProfiles()
	if err != nil {
		return nil, err
	}
	name := all.chosen(cmd)
	p := all.Profiles[name]
	switch {
	case p != nil:
		return client.WithToken(p.Service, p.Account, p.Token, client.Options{}), nil
	case len(all.Profiles) == 0:
		return nil, &failure{exitDenied, errors.New("sign in first: pithos login http://HOST:8080 --user ACCOUNT:NAME")}
	}
	return nil, &failure{exitUsage, fmt.Errorf("there is no profile %q; there are: %s", name, strings.Join(all.names(), ", "))}
}

func (all *profiles) names() []string { return slices.Sorted(maps.Keys(all.Profiles)) }

func loginCommand(t *terminal) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "login URL", Short: "Sign in to a service", Args: cobra.ExactArgs(1),
		Long: `Sign in to a Pithos service and remember it for the commands that work on objects. The
password, or the secret of an access key, is read from $PITHOS_SECRET or else from the
standard input. The token is kept in the configuration directory, for you alone; the
secret is not kept.

With --profile the sign-in gets a name, so that several services or users can be kept.
Commands use the profile of --profile, else of $PITHOS_PROFILE, else the default one, which
is the first that was made, until "pithos profile use" says otherwise. The file of the
profiles is profiles.json in the configuration directory, or $PITHOS_PROFILES.`,
		Example: "  pithos login http://127.0.0.1:8080 --user admin:admin\n  pithos login https://objects.example.org --user lab:ann --profile work",
	}
	cmd.Flags().StringVar(&user, "user", "", "`ACCOUNT:NAME` to sign in as")
	_ = cmd.MarkFlagRequired("user") // never fails: the flag is there
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		all, err := readProfiles()
		if err != nil {
			return err
		}
		secret := os.Getenv(variableSecret)
		if secret == "" {
			line, err := bufio.NewReader(t.in).ReadString('\n')
			if secret = strings.TrimRight(line, "\r\n"); secret == "" {
				return errors.Join(usage("the password is missing: write it to the standard input"), err)
			}
		}
		c, err := client.SignIn(cmd.Context(), args[0], user, secret, client.Options{})
		if client.IsDenied(err) {
			return &failure{exitDenied, errors.New("the user or the password is wrong")}
		}
		if err != nil {
			return &failure{exitUnreachable, err}
		}
		name := defaultProfile
		if f := cmd.Flag("profile"); f != nil && f.Value.String() != "" {
			name = f.Value.String()
		}
		if all.Profiles[all.Default] == nil {
			all.Default = name
		}
		all.Profiles[name] = &profile{Service: args[0], User: user, Account: c.Account(), Token: c.Token()}
		if err := all.save(); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "Signed in to %s as %s%s.\n", args[0], user, asProfile(name))
		return nil
	})
	return cmd
}

func asProfile(name string) string {
	if name == defaultProfile {
		return ""
	}
	return ", profile " + name
}

func profileCommand(t *terminal) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the profiles", Args: cobra.NoArgs, Example: "  pithos profile list",
		Long: "List the services that \"pithos login\" remembers. The one marked * is meant when nothing else is said.",
	}
	t.addJSON(list)
	list.RunE = action(func(cmd *cobra.Command, _ []string) error {
		all, err := readProfiles()
		if err != nil {
			return err
		}
		type shown struct {
			Name    string `json:"name"`
			Service string `json:"service"`
			User    string `json:"user"`
			Default bool   `json:"default"`
		}
		entries := []shown{}
		rows := [][]string{}
		for _, name := range all.names() {
			p := all.Profiles[name]
			mark := ""
			if name == all.chosen(cmd) {
				mark = "*"
			}
			entries = append(entries, shown{name, p.Service, p.User, mark != ""})
			rows = append(rows, []string{mark, name, p.Service, p.User})
		}
		if t.json {
			return t.printJSON(entries)
		}
		return t.table("No profiles. Make one with: pithos login", []string{"", "PROFILE", "SERVICE", "USER"}, rows)
	})
	change := func(use, short, long, example string, do func(all *profiles, name string)) *cobra.Command {
		return &cobra.Command{
			Use: use + " NAME", Short: short, Long: long, Example: "  pithos profile " + example, Args: cobra.ExactArgs(1),
			ValidArgsFunction: completeProfiles,
			RunE: action(func(_ *cobra.Command, args []string) error {
				all, err := readProfiles()
				if err != nil {
					return err
				}
				if all.Profiles[args[0]] == nil {
					return &failure{exitNotFound, fmt.Errorf("there is no profile %q", args[0])}
				}
				do(all, args[0])
				return all.save()
			}),
		}
	}
	return group("profile", "The services that you are signed in to", "", list,
		change("use", "Choose the profile that is meant when nothing else is said", "Make a profile the default of all commands.", "use work",
			func(all *profiles, name string) { all.Default = name }),
		change("remove", "Forget a profile and its token", "Forget a profile and its token. Nothing is changed at the service.", "remove work",
			func(all *profiles, name string) { delete(all.Profiles, name) }))
}
