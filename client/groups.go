package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// groupHeader begins the headers that tell and change the groups of an account (Pithos+ 4.1, 4.3).
const groupHeader = "X-Account-Group-"

// Groups are the groups of the account by their names, with their members in order. A group is shared with as "account:group".
func (c *Client) Groups(ctx context.Context) (map[string][]string, error) {
	h, err := c.do(ctx, http.MethodHead, "", nil)
	if err != nil {
		return nil, err
	}
	groups := map[string][]string{}
	for name, members := range headersBehind(groupHeader, h) {
		groups[name] = strings.FieldsFunc(members, func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(groups[name])
	}
	return groups, nil
}

// SetGroup makes a group, or replaces its members; without members the group is deleted. The account may have 32 groups of 32 members. Of two changes of one
// group at once the later stands.
func (c *Client) SetGroup(ctx context.Context, name string, members []string) error {
	_, err := c.do(ctx, http.MethodPost, "?update", http.Header{groupHeader + url.PathEscape(name): {url.PathEscape(strings.Join(members, ","))}})
	return err
}
