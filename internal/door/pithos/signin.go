package pithos

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// The bases of the identity calls that Pithos+ clients make (Pithos+ 12).
const (
	identityBase = "/identity/v2.0"
	accountBase  = "/account/v1.0"
	oauthPath    = "/oauth2/auth"
)

// signInMax bounds the bodies of these calls, bytes.
const signInMax = 1 << 20

// tokenShown is how long a token is said to live where its end is not known here.
const tokenShown = 24 * time.Hour

// credentials is the body of a sign-in.
type credentials struct {
	Auth struct {
		Token struct {
			ID string `json:"id"`
		} `json:"token"`
		Password struct {
			User     string `json:"username"`
			Password string `json:"password"`
		} `json:"passwordCredentials"`
	} `json:"auth"`
}

type endpoint struct {
	Region    string `json:"region"`
	PublicURL string `json:"publicURL"`
	VersionID string `json:"versionId"`
	UIURL     string `json:"SNF:uiURL,omitempty"`
}

type catalogueEntry struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	Endpoints []endpoint `json:"endpoints"`
	Links     []string   `json:"endpoints_links"`
}

// catalogue names the services of this one. Clients need the account service with an address for people, and one object store (proved by leaving
// them out, Pithos+ 12).
func (c *call) catalogue() []catalogueEntry {
	at, ui := c.external(), c.external()+"/ui"
	one := func(name, kind, path, version string) catalogueEntry {
		return catalogueEntry{
			Name: name, Type: kind, Links: []string{},
			Endpoints: []endpoint{{Region: "default", PublicURL: at + path, VersionID: version, UIURL: ui}},
		}
	}
	return []catalogueEntry{
		one("astakos_account", "account", accountBase, "v1.0"),
		one("astakos_identity", "identity", identityBase, "v2.0"),
		one("pithos_object-store", "object-store", "/v1", "v1"),
	}
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// postTokens is the sign-in; without a body it shows the catalogue, to whoever asks.
func postTokens(ctx context.Context, c *call) (*reply, error) {
	raw, err := wire.ReadAll((*bodyReader)(c), max(c.r.ContentLength, 0), signInMax)
	if err != nil {
		return nil, err
	}
	if len(strings.TrimSpace(string(raw))) == 0 {
		return c.sendJSON(map[string]any{"access": map[string]any{"serviceCatalog": c.catalogue()}})
	}
	var body credentials
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, bad("The body is not JSON of the form {\"auth\": ...}")
	}
	token := body.Auth.Token.ID
	if p := body.Auth.Password; token == "" && p.User != "" {
		if token, _, err = c.door.o.SignIn(ctx, p.User, p.Password); err != nil {
			return nil, err
		}
	}
	if token == "" {
		token = c.h("X-Auth-Token")
	}
	c.r.Header["X-Auth-Token"] = []string{token}
	if err := c.authenticate(ctx); err != nil {
		return nil, err
	}
	return c.sendJSON(map[string]any{"access": map[string]any{
		"token": map[string]any{
			"id": token, "expires": c.started.Add(tokenShown).UTC().Format("2006-01-02T15:04:05.000000+00:00"),
			"tenant": named{string(c.caller.Account), string(c.caller.Account)},
		},
		"user": map[string]any{
			"id": string(c.caller.Account), "name": string(c.caller.User), "roles": []any{}, "roles_links": []any{},
			"projects": []string{string(c.caller.Account)},
		},
		"serviceCatalog": c.catalogue(),
	}})
}

// getToken checks a token for a browser: good for one path alone (Pithos+ 10, 12).
func getToken(_ context.Context, c *call) (*reply, error) {
	token := strings.TrimPrefix(c.path, identityBase+"/tokens/")
	user := c.door.viewer(token, strings.TrimPrefix(c.query.Get("belongsTo"), "/"))
	if user == "" {
		return nil, refusal(http.StatusNotFound, "The token is not good for this path")
	}
	account, _ := user.Split()
	return c.sendJSON(map[string]any{"access": map[string]any{"user": named{string(account), string(user)}}})
}

// postCatalogs turns ids of users into names and names into ids (Pithos+ 11).
func postCatalogs(ctx context.Context, c *call) (*reply, error) {
	raw, err := wire.ReadAll((*bodyReader)(c), max(c.r.ContentLength, 0), signInMax)
	if err != nil {
		return nil, err
	}
	var ask struct {
		UUIDs []string `json:"uuids"`
		Names []string `json:"displaynames"`
	}
	if err := json.Unmarshal(raw, &ask); err != nil || len(ask.UUIDs)+len(ask.Names) > groupsMax*groupsMax {
		return nil, bad(`The body is not of the form {"uuids": [...], "displaynames": [...]}`)
	}
	byID, byName := map[string]string{}, map[string]string{}
	for _, id := range ask.UUIDs {
		a, err := c.door.b.Account(ctx, naming.AccountID(id))
		if err == nil {
			byID[id] = a.DisplayName
		} else if !notFound(err) {
			return nil, err
		}
	}
	for _, name := range ask.Names {
		a, err := c.door.b.Account(ctx, naming.AccountID(name))
		if notFound(err) {
			a, err = c.door.b.Email(ctx, name)
		}
		if err == nil {
			byName[name] = string(a.ID)
		} else if !notFound(err) {
			return nil, err
		}
	}
	return c.sendJSON(map[string]any{"uuid_catalog": byID, "displayname_catalog": byName})
}

// noLimit is what clients of the original take for no quota.
const noLimit = 1<<63 - 1

// getQuotas tells the caller's usage and quota (Pithos+ 12).
func getQuotas(ctx context.Context, c *call) (*reply, error) {
	used, err := c.door.b.AccountUsage(ctx, c.caller, c.caller.Account)
	if err != nil {
		return nil, err
	}
	a, err := c.door.b.Account(ctx, c.caller.Account)
	if err != nil {
		return nil, err
	}
	limit := a.QuotaBytes
	if limit == 0 {
		limit = noLimit
	}
	return c.sendJSON(map[string]any{string(a.ID): map[string]any{"pithos.diskspace": map[string]int64{
		"usage": used.Bytes, "limit": limit, "pending": 0, "project_usage": used.Bytes, "project_limit": limit, "project_pending": 0,
	}}})
}

// project is the one project that an account has: itself.
func (c *call) project() map[string]any {
	id := string(c.caller.Account)
	return map[string]any{
		"id": id, "name": id, "state": "ACTIVE", "owner": id, "description": "", "homepage": "", "system_project": true, "base_project": true, "private": true,
	}
}

// getProjects lists it.
func getProjects(_ context.Context, c *call) (*reply, error) {
	return c.sendJSON([]any{c.project()})
}

// getProject shows it.
func getProject(_ context.Context, c *call) (*reply, error) {
	if strings.TrimPrefix(c.path, accountBase+"/projects/") != string(c.caller.Account) {
		return nil, refusal(http.StatusNotFound, "There is no such project")
	}
	return c.sendJSON(c.project())
}

func (c *call) sendJSON(v any) (*reply, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	c.set("Content-Type", jsonFormat.contentType())
	return &reply{status: http.StatusOK, body: raw}, nil
}

// getOAuth lets a person sign in with name and key, by the browser's own window, and sends the browser back to the object that it wanted, with a code for
// it (Pithos+ 10).
func getOAuth(ctx context.Context, c *call) (*reply, error) {
	back, err := url.Parse(c.query.Get("redirect_uri"))
	if err != nil || back.Scheme+"://"+back.Host != c.content() || !strings.HasPrefix(back.Path, view) {
		return nil, bad("The browser is sent back to objects of this service only")
	}
	user, secret, ok := c.r.BasicAuth()
	var who naming.UserID
	if ok {
		_, found, err := c.door.o.SignIn(ctx, user, secret)
		if err != nil && !denied(err) && statusOfAny(err) != http.StatusUnauthorized {
			return nil, err
		}
		if err == nil {
			who = found.ID
		}
	}
	if who == "" {
		return nil, refusal(http.StatusUnauthorized, "Sign in to see the object").carrying("Www-Authenticate", `Basic realm="Pithos", charset="UTF-8"`)
	}
	q := back.Query()
	q.Set("code", c.door.seal(viewCode, who, strings.TrimPrefix(back.Path, view)))
	q.Set("state", c.query.Get("state"))
	back.RawQuery = q.Encode()
	c.set("Location", back.String())
	return empty(http.StatusFound), nil
}

func statusOfAny(err error) int { return faultOf(err).status }
