package swift

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the signature of Swift's container sync is made with it, as a MAC
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"pithos/internal/naming"
)

// Realms are groups of clusters that let containers be synchronised between each other, as Swift's container-sync-realms.conf describes them. Names of realms
// and clusters are the same in upper and lower case. The zero value has none.
type Realms struct {
	realms map[string]*realm // by name in upper case
}

type realm struct {
	key, key2 string              // with which requests are signed; key2 is taken too
	clusters  map[string]*url.URL // end-points, by name in upper case
}

// realmsBytesMax bounds a file of realms.
const realmsBytesMax = 1 << 20

// ParseRealms reads the text of a container-sync-realms.conf: a section for each realm, with key, perhaps key2, and cluster_NAME for the end-point of each cluster, which ends with
// the version of the API. An error names the line and quotes no key.
func ParseRealms(text []byte) (*Realms, error) {
	if len(text) > realmsBytesMax {
		return nil, errors.New("the file is longer than 1 MiB")
	}
	all := &Realms{realms: map[string]*realm{}}
	var now *realm
	common := false // in the section that holds for all of Swift
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, realmsBytesMax)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name := strings.ToUpper(strings.TrimSuffix(line[1:], "]"))
			if !strings.HasSuffix(line, "]") || name == "" || strings.ContainsAny(name, "/ \t") {
				return nil, fmt.Errorf("line %d: write the name of a realm, as in [realm1]", n)
			}
			if common = name == "DEFAULT"; common {
				continue
			}
			if all.realms[name] != nil {
				return nil, fmt.Errorf("line %d: the realm is there twice", n)
			}
			now = &realm{clusters: map[string]*url.URL{}}
			all.realms[name] = now
			continue
		}
		name, value, ok := cutSetting(line)
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d: write NAME = VALUE", n)
		case common: // mtime_check_interval: the file is read again when it changes
		case now == nil:
			return nil, fmt.Errorf("line %d: the name of a realm must come first, as in [realm1]", n)
		default:
			if err := now.set(name, value); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	return all, lines.Err()
}

// cutSetting cuts a line at the first "=" or ":", as Python's configparser does; "%%" stands for "%".
func cutSetting(line string) (name, value string, ok bool) {
	i := strings.IndexAny(line, "=:")
	if i <= 0 {
		return "", "", false
	}
	value = strings.ReplaceAll(strings.TrimSpace(line[i+1:]), "%%", "%")
	return strings.ToLower(strings.TrimSpace(line[:i])), value, value != ""
}

func (r *realm) set(name, value string) error {
	switch cluster, ok := strings.CutPrefix(name, "cluster_"); {
	case name == "key":
		r.key = value
	case name == "key2":
		r.key2 = value
	case ok && cluster != "":
		u, err := url.Parse(strings.TrimRight(value, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path == "" {
			return errors.New("that is no end-point; write for example https://host1/v1/")
		}
		r.clusters[strings.ToUpper(cluster)] = u
	}
	return nil // Swift takes other settings and minds none
}

func (r *Realms) find(name string) *realm {
	if r == nil {
		return nil
	}
	return r.realms[strings.ToUpper(name)]
}

// Cluster tells whether there is a realm with a key and a cluster in it.
func (r *Realms) Cluster(name, cluster string) bool {
	found := r.find(name)
	return found != nil && found.clusters[strings.ToUpper(cluster)] != nil
}

// describe is what /info shows: the realms that have clusters, and which cluster this one is.
func (r *Realms) describe(current string) map[string]any {
	out := map[string]any{}
	if r == nil {
		return out
	}
	at, cluster, _ := strings.Cut(strings.ToUpper(strings.Trim(current, "/")), "/")
	for _, name := range slices.Sorted(maps.Keys(r.realms)) {
		clusters := map[string]any{}
		for each := range r.realms[name].clusters {
			clusters[each] = map[string]any{}
			if name == at && each == cluster {
				clusters[each] = map[string]any{"current": true}
			}
		}
		if len(clusters) > 0 {
			out[name] = map[string]any{"clusters": clusters}
		}
	}
	return out
}

// destination is where the changes of a container go.
type destination struct {
	at    *url.URL // of the container, its path decoded
	realm string   // that signs, in upper case; "": the container's key is shown instead
	key   string   // of the realm
}

// aim reads a value of X-Container-Sync-To: //realm/cluster/account/container, or the URL of a container at a host that hosts allow. A host stands there
// by its name, and then with any port, or with its port. Errors: 400, in Swift's words.
func (r *Realms) aim(value string, hosts []string) (*destination, error) {
	trimmed := strings.TrimRight(value, "/")
	if rest, ok := strings.CutPrefix(trimmed, "//"); ok {
		parts := strings.Split(rest, "/")
		if len(parts) != 4 {
			return nil, bad("Invalid X-Container-Sync-To format " + quoted(value))
		}
		found := r.find(parts[0])
		switch {
		case found == nil || found.key == "":
			return nil, bad("No realm key for " + quoted(parts[0]))
		case found.clusters[strings.ToUpper(parts[1])] == nil:
			return nil, bad("No cluster endpoint for " + quoted(parts[0]) + " " + quoted(parts[1]))
		}
		d := &destination{realm: strings.ToUpper(parts[0]), key: found.key, at: found.clusters[strings.ToUpper(parts[1])]}
		return d, d.enter(parts[2], parts[3], value)
	}
	u, err := url.Parse(trimmed)
	switch {
	case err != nil:
		return nil, bad("Invalid X-Container-Sync-To format " + quoted(value))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("Invalid scheme " + quoted(u.Scheme) + ` in X-Container-Sync-To, must be "//", "http", or "https".`)
	case u.Path == "":
		return nil, bad("Path required in X-Container-Sync-To")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.Contains(u.Path, ";"):
		return nil, bad("Params, queries, and fragments not allowed in X-Container-Sync-To")
	case u.User != nil || !slices.Contains(hosts, strings.ToLower(u.Hostname())) && !slices.Contains(hosts, strings.ToLower(u.Host)):
		return nil, bad("Invalid host " + quoted(u.Hostname()) + " in X-Container-Sync-To")
	}
	folder, container, ok := cutLast(u.EscapedPath())
	_, account, ok2 := cutLast(folder)
	if !ok || !ok2 {
		return nil, bad("Invalid X-Container-Sync-To format " + quoted(value))
	}
	d := &destination{at: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(unescape(folder), "/"+unescape(account))}}
	return d, d.enter(account, container, value)
}

// enter goes into a container, whose names are given as in a URL.
func (d *destination) enter(account, container, value string) error {
	a, c := unescape(account), unescape(container)
	_, err := naming.ParseContainer(c)
	if a == "" || len(a) > 2*naming.AccountMax || a == "." || a == ".." || strings.ContainsAny(a, "/?#") || strings.ContainsFunc(a, control) || err != nil || c == "." || c == ".." {
		return bad("Invalid X-Container-Sync-To format " + quoted(value))
	}
	at := *d.at
	at.Path += "/" + a + "/" + c
	at.RawPath = pathQuote(at.Path)
	d.at = &at
	return nil
}

func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], path[i+1:] != ""
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// quoted shows a value in a message.
func quoted(s string) string { return "'" + strings.Map(visible, clip(s)) + "'" }

func visible(r rune) rune {
	if control(r) {
		return '?'
	}
	return r
}

// syncSignature signs a request between clusters (swift.common.container_sync_realms, get_sig): path is escaped, at is the text of X-Timestamp.
func syncSignature(method, path, at, nonce, realmKey, userKey string) string {
	mac := hmac.New(sha1.New, []byte(realmKey))
	mac.Write([]byte(method + "\n" + path + "\n" + at + "\n" + nonce + "\n" + userKey)) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// signed tells whether a signature was made with one of the realm's keys.
func (r *Realms) signed(name, method, path, at, nonce, sig, userKey string) bool {
	found := r.find(name)
	if found == nil || found.key == "" || userKey == "" {
		return false
	}
	ok := hmac.Equal([]byte(sig), []byte(syncSignature(method, path, at, nonce, found.key, userKey)))
	if found.key2 != "" {
		ok = hmac.Equal([]byte(sig), []byte(syncSignature(method, path, at, nonce, found.key2, userKey))) || ok
	}
	return ok
}
