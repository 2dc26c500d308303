package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/admin"
	"pithos/internal/errs"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	registrars = 2
	keysEach   = 6
	keyPace    = 60 * time.Millisecond
)

// adminOf speaks to a gateway's admin API. The token is another one after each start.
func adminOf(s *service.Service) (*admin.Client, error) {
	token, err := os.ReadFile(filepath.Join(s.Data, admin.TokenFile))
	if err != nil {
		return nil, err
	}
	return &admin.Client{Base: "http://" + s.Admin, Token: strings.TrimSpace(string(token)), HTTP: &http.Transport{DisableKeepAlives: true}}, nil
}

// enrol makes the users that clients are, each with an account of its own. The first administrator, who may do everything everywhere, is none of them.
func (g *gateways) enrol() {
	g.t.Helper()
	c, err := adminOf(g.all[0])
	if err != nil {
		g.t.Fatal(err)
	}
	for _, u := range []service.User{{Name: "owner", Access: service.Admin.Access, Secret: service.Admin.Secret}, other} {
		patiently(g.t, func() error {
			n := admin.NewUser{Account: u.Name, Name: u.Name, AccessKey: u.Access, Secret: u.Secret}
			return already(c.Do(g.t.Context(), http.MethodPost, "/v1/users", nil, n, nil))
		})
	}
}

// already turns what a request says that is repeated after it was done into no error, and what the server has no time for into Busy.
func already(err error) error {
	var told *admin.Failure
	switch {
	case !errors.As(err, &told):
		return err
	case told.Kind == errs.Exists.String():
		return nil
	case told.Kind == errs.Busy.String(), told.Kind == errs.Ambiguous.String():
		return errs.Wrap("admin", errs.Busy, err)
	}
	return err
}

// verdict is what is known of a change of the keystore.
type verdict int

const (
	done    verdict = iota // it was acknowledged
	refused                // it was not made, and never will be
	open                   // nobody knows
)

// registrar makes users and keys, disables and removes them, over whichever gateway, and signs with them. What it was answered, nobody else can change: a key
// works exactly if it should. Keys of unknown state are left alone.
type registrar struct {
	meter

	t      *testing.T
	g      *gateways
	r      *rivals
	number int
	random *rand.Rand
	user   string // whose keys these are; "" when there is none
	base   int    // numbers the user name that is taken again; another once a removal of unknown outcome may hit it
	drawn  int
	active map[thin.Keys]bool // whether a key works
	dead   []thin.Keys        // were removed

	changed, unknown, used, revoked int
}

func newRegistrar(t *testing.T, g *gateways, p *pauses, r *rivals, number int) *registrar {
	return &registrar{
		meter: meter{p: p}, t: t, g: g, r: r, number: number, random: rand.New(rand.NewPCG(*seed, uint64(2000+number))), active: map[thin.Keys]bool{},
	}
}

// work changes and uses keys until stop is closed.
func (k *registrar) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if clock.Wait(k.t.Context(), keyPace) != nil {
			return
		}
		k.step()
	}
}

func (k *registrar) step() {
	n := k.random.IntN(100)
	switch {
	case k.user == "":
		k.newUser()
	case n < 8 && len(k.active) < keysEach, len(k.active) == 0:
		k.newKey()
	case n < 11:
		k.disable()
	case n < 13:
		k.removeKey()
	case n < 14:
		k.removeUser()
	case n < 18:
		k.r.compete(k)
	case n < 22 && len(k.dead) > 0:
		k.use(k.dead[k.random.IntN(len(k.dead))], false)
	default:
		key := k.any()
		k.use(key, k.active[key])
	}
}

// any draws a key; the order of a map is no one's to repeat.
func (k *registrar) any() thin.Keys {
	least := thin.Keys{}
	number := k.random.Uint64()
	var best uint64
	for key := range k.active {
		h := uint64(14695981039346656037) ^ number
		for _, c := range []byte(key.Access) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		if least.Access == "" || h < best {
			least, best = key, h
		}
	}
	return least
}

func (k *registrar) fresh() thin.Keys {
	k.drawn++
	return thin.Keys{
		Access: fmt.Sprintf("K%dN%06dX%010X", k.number, k.drawn, *seed&(1<<40-1)), Secret: fmt.Sprintf("secret/of/registrar/%04d/%015d", k.number, k.drawn),
		Region: service.Admin.Region,
	}
}

// change asks a gateway for a change.
func (k *registrar) change(method, path string, in any) verdict {
	ctx, cancel := context.WithTimeout(k.t.Context(), requestMax)
	defer cancel()
	c, err := adminOf(k.g.all[k.random.IntN(len(k.g.all))])
	if err == nil {
		err = c.Do(ctx, method, path, nil, in, nil)
	}
	var told *admin.Failure
	switch {
	case err == nil:
		k.changed++
		return done
	case !errors.As(err, &told), told.Kind == errs.Busy.String(), told.Kind == errs.Ambiguous.String(), told.Kind == errs.Canceled.String(),
		told.Kind == errs.Unauthenticated.String(): // just restarted, with another token
		k.unknown++
		return open
	case told.Kind == errs.Exists.String() && method == http.MethodPost:
		return refused
	}
	k.t.Errorf("%s %s: %v", method, path, err)
	return open
}

// newUser takes the name of a user that was removed before: none of that one's keys may come to life.
func (k *registrar) newUser() {
	name := fmt.Sprintf("r%d-%x-%d", k.number, *seed, k.base)
	if k.drawn > 0 && k.random.IntN(2) == 0 {
		name = fmt.Sprintf("%s-%d", name, k.drawn) // or one that is new
	}
	k.drawn++
	switch k.change(http.MethodPost, "/v1/users", admin.NewUser{Account: fmt.Sprintf("reg%d", k.number), Name: name, NoKey: true}) {
	case done, refused: // there already, from an attempt of unknown outcome
		k.user = fmt.Sprintf("reg%d:%s", k.number, name)
	case open:
	}
}

func (k *registrar) newKey() {
	key := k.fresh()
	switch k.change(http.MethodPost, "/v1/keys", admin.NewKey{User: k.user, AccessKey: key.Access, Secret: key.Secret}) {
	case done:
		k.active[key] = true
	case refused:
		k.t.Errorf("key %s, which nobody else makes, is there already", key.Access)
	case open:
	}
}

func (k *registrar) disable() {
	key := k.any()
	off := k.active[key]
	if k.change(http.MethodPatch, "/v1/keys/"+key.Access, admin.KeyChange{Disabled: &off}) != done {
		delete(k.active, key)
		return
	}
	k.active[key] = !off
	k.use(key, !off)
}

func (k *registrar) removeKey() {
	key := k.any()
	v := k.change(http.MethodDelete, "/v1/keys/"+key.Access, nil)
	delete(k.active, key)
	if v == done {
		k.dead = append(k.dead, key)
		k.use(key, false)
	}
}

func (k *registrar) removeUser() {
	v := k.change(http.MethodDelete, "/v1/users/"+url.PathEscape(k.user), nil)
	for key := range k.active {
		if v == done {
			k.dead = append(k.dead, key)
		}
	}
	if v != done {
		k.base++
	}
	clear(k.active)
	k.user = ""
}

// use signs a request and wants it to be let in, or not.
func (k *registrar) use(key thin.Keys, works bool) {
	c := k.g.client(key)
	defer c.Close()
	answer, err := c.Do(&thin.Request{Method: "GET", Path: "/"}, nil)
	switch {
	case err != nil, answer.Status >= 500:
		return
	case answer.OK() != works || !works && answer.Status != http.StatusForbidden:
		k.t.Errorf("key %s must work: %v; it gets status %d: %.200s", key.Access, works, answer.Status, answer.Body)
		return
	}
	k.success()
	k.used++
	if !works {
		k.revoked++
	}
}

// verify signs with every key, when nothing is broken any more.
func (k *registrar) verify() {
	want := map[thin.Keys]bool{}
	for key, works := range k.active {
		want[key] = works
	}
	for _, key := range k.dead {
		want[key] = false
	}
	for key, works := range want {
		answer, err := k.g.insist(key, &thin.Request{Method: "GET", Path: "/"}, http.StatusForbidden)
		if err != nil {
			k.t.Error(err)
			return
		}
		if answer.OK() != works {
			k.t.Errorf("in the end key %s must work: %v; it gets status %d: %.200s", key.Access, works, answer.Status, answer.Body)
		}
	}
}

// rivals are registrars that make the same key at about the same time, each with a secret of its own: one may win.
type rivals struct {
	mu  sync.Mutex
	won map[string][]thin.Keys
}

func (r *rivals) compete(k *registrar) {
	name := fmt.Sprintf("RIVAL%dX%010X", time.Now().UnixNano()/int64(8*keyPace), *seed&(1<<40-1))
	key := thin.Keys{Access: name, Secret: fmt.Sprintf("secret/of/rival/%04d/%015d", k.number, k.drawn), Region: service.Admin.Region}
	if k.change(http.MethodPost, "/v1/users", admin.NewUser{Account: "rivals", Name: fmt.Sprintf("rival%d-%x", k.number, *seed), NoKey: true}) == open {
		return
	}
	if k.change(http.MethodPost, "/v1/keys", admin.NewKey{User: fmt.Sprintf("rivals:rival%d-%x", k.number, *seed), AccessKey: key.Access, Secret: key.Secret}) != done {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.won[name] = append(r.won[name], key)
}

// check wants one winner of each key, whose secret is the one that works.
func (r *rivals) check(t *testing.T, g *gateways) {
	t.Helper()
	for name, keys := range r.won {
		if len(keys) > 1 {
			t.Errorf("key %s was given to %d", name, len(keys))
			continue
		}
		if _, err := g.insist(keys[0], &thin.Request{Method: "GET", Path: "/"}); err != nil {
			t.Errorf("the winner of key %s: %v", name, err)
			return
		}
	}
}
