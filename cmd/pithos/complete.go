package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
)

// Bounds of what completion asks for: a shell waits for it.
const (
	completeFor = 3 * time.Second
	completeMax = 200 // names
)

// completion is a function that completes an argument.
type completion = func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective)

// completeRemote completes names of containers, folders and objects. What cannot be asked for is not completed.
func completeRemote(cmd *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
	c, err := remote(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeFor)
	defer cancel()
	return remoteNames(ctx, c, text), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// completeFirst completes the first argument as a name at the service and what follows as files.
func completeFirst(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeRemote(cmd, args, text)
}

// completeLater completes the first argument as a file, and what follows as names at the service, or as files when there are none.
func completeLater(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		if names, how := completeRemote(cmd, args, text); len(names) > 0 {
			return names, how
		}
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// remoteNames are the names that begin with a text, one level deep.
func remoteNames(ctx context.Context, c *client.Client, text string) (names []string) {
	first := ""
	if strings.HasPrefix(text, "@") {
		account, _, ok := strings.Cut(text, "/")
		if !ok {
			return sharingAccounts(ctx, c, text)
		}
		first, text = account+"/", text[len(account)+1:]
		c = c.Of(account[1:])
	}
	container, name, inside := strings.Cut(text, "/")
	if !inside {
		list, err := c.Containers(ctx)
		if err != nil {
			return nil
		}
		for _, k := range list {
			if strings.HasPrefix(k.Name, text) {
				names = append(names, first+k.Name+"/")
			}
		}
		return names
	}
	folder := name[:strings.LastIndexByte(name, '/')+1]
	o := client.ListOptions{Prefix: folder, Delimiter: "/", PageMax: completeMax * 5}
	for e, err := range c.Container(container).List(ctx, o) {
		if err != nil || len(names) == completeMax {
			return names
		}
		each := e.Name + e.Prefix
		if !strings.HasPrefix(each, name) || each == folder {
			continue
		}
		if e.Prefix == "" && e.Folder() {
			each += "/"
		}
		if each = first + container + "/" + each; !slices.Contains(names, each) {
			names = append(names, each)
		}
	}
	return names
}

func sharingAccounts(ctx context.Context, c *client.Client, text string) (names []string) {
	accounts, err := c.SharingAccounts(ctx)
	if err != nil {
		return nil
	}
	for _, a := range accounts {
		if strings.HasPrefix("@"+a, text) {
			names = append(names, "@"+a+"/")
		}
	}
	return names
}

// completeProfiles completes names of profiles.
func completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := readProfiles()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return all.names(), cobra.ShellCompDirectiveNoFileComp
}

// completeGroups completes names of groups.
func completeGroups(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := remote(cmd)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeFor)
	defer cancel()
	groups, err := c.Groups(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(groups)), cobra.ShellCompDirectiveNoFileComp
}
