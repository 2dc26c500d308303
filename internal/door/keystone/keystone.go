// Package keystone takes the tokens of an OpenStack Identity service that runs
// elsewhere: it asks the service whose they are, as a service user of its own,
// and remembers the answers for a while.
//
// A project of the service is the account of its id. The account is made when
// somebody who may write to it first shows a token.
//
// Source: OpenStack Identity API v3; the behaviour of keystonemiddleware's
// auth_token and of Swift's keystoneauth.
package keystone

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"pithos/internal/access"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Options are the settings; zero fields take the defaults named.
type Options struct {
	URL    string // of the Identity API with its version, ".../v3", without a slash at its end; must be set
	Public string // address that clients are told; URL

	// The service user as whom tokens are checked. Password gives its password each time that one is needed. Must be set.
	User, UserDomain       string
	Project, ProjectDomain string
	Password               func() (string, error)

	Operators []string      // roles that own their project's account: admin, swiftoperator
	Reseller  string        // role that may do everything everywhere: ResellerAdmin
	Life      time.Duration // of an answer in memory: 5 min

	Client *http.Client // http.DefaultClient
	Clock  clock.Clock  // clock.System
	Log    *slog.Logger // discards
	Keys   key.Reader   // where accounts are; must be set
	Writer key.Writer   // makes them; must be set
}

// Service is the way to the other service. It is safe for concurrent use.
type Service struct {
	o      Options
	asking singleflight.Group

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]known

	own ownToken
}

// known is what the service said of a token.
type known struct {
	who   access.Principal
	bad   bool      // nobody's
	until time.Time // for so long
}

// The bounds of what is remembered, of what is sent and of how long an answer may take.
const (
	knownMax  = 10_000 // tokens of each of two generations
	tokenMax  = 8192   // bytes
	askingMax = 20 * time.Second
)

// New makes the way to a service.
func New(o Options) *Service {
	if o.Public == "" {
		o.Public = o.URL
	}
	if o.Operators == nil {
		o.Operators = []string{"admin", "swiftoperator"}
	}
	if o.Reseller == "" {
		o.Reseller = "ResellerAdmin"
	}
	if o.Life == 0 {
		o.Life = 5 * time.Minute
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, young: map[[sha256.Size]byte]known{}}
}

// Challenge is what Www-Authenticate says: where to sign in.
func (s *Service) Challenge() string {
	return `Keystone uri="` + strings.TrimSuffix(s.o.Public, "/") + `"`
}

// Who tells whose token it is. Unauthenticated/User when it is nobody's or has expired; Busy when the service cannot be asked. A token for no project is the anonymous
// public's: recognised is false. A token that was revoked is noticed when its answer has been forgotten, Options.Life at the latest.
func (s *Service) Who(ctx context.Context, token string) (who access.Principal, recognised bool, err error) {
	const op = "keystone.Who"
	if len(token) > tokenMax || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return who, true, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	sum := sha256.Sum256([]byte(token))
	k, ok := s.recall(sum)
	if !ok {
		if k, err = s.askOnce(ctx, token, sum); err != nil {
			return who, true, err
		}
	}
	if k.bad {
		return who, true, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	return k.who, !k.who.Anonymous(), nil
}

// askOnce asks for a token once, however many requests wait for the answer. The question outlives the request that began it: others may wait for it.
func (s *Service) askOnce(ctx context.Context, token string, sum [sha256.Size]byte) (known, error) {
	answer := s.asking.DoChan(string(sum[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askingMax)
		defer cancel()
		if k, ok := s.recall(sum); ok { // answered between our look and this call
			return k, nil
		}
		k, err := s.ask(ctx, token)
		if err != nil {
			s.o.Log.WarnContext(ctx, "keystone", "url", s.o.URL, "error", err)
			return k, err
		}
		s.remember(sum, k)
		return k, nil
	})
	select {
	case r := <-answer:
		k, _ := r.Val.(known)
		return k, r.Err
	case <-ctx.Done():
		return known{}, errs.E("keystone.Who", errs.Canceled, errs.Request, "").With(ctx.Err())
	}
}

func (s *Service) recall(sum [sha256.Size]byte) (known, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.young[sum]
	if !ok {
		k, ok = s.old[sum]
	}
	return k, ok && s.o.Clock.Now().Before(k.until)
}

func (s *Service) remember(sum [sha256.Size]byte, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= knownMax {
		s.old, s.young = s.young, map[[sha256.Size]byte]known{}
	}
	s.young[sum] = k
}

// principal is what a token of the service means here.
func (s *Service) principal(t *tokenDoc) access.Principal {
	if t.Project == nil {
		return access.Principal{}
	}
	account := naming.AccountID(t.Project.ID)
	p := access.Principal{
		Account: account, User: naming.User(account, t.User.ID), Name: t.User.Name, Canonical: key.CanonicalOf(account),
		Project: t.Project.Name, Domain: domainOf(t.Project.Domain.ID), Keystone: true,
	}
	if p.Domain == "" { // names count only where both are in the default domain
		p.Domain = domainOf(t.User.Domain.ID)
	}
	for _, r := range t.Roles {
		p.Roles = append(p.Roles, r.Name)
		same := func(role string) bool { return strings.EqualFold(role, r.Name) }
		p.Admin = p.Admin || slices.ContainsFunc(s.o.Operators, same)
		p.Operator = p.Operator || same(s.o.Reseller)
	}
	return p
}

// domainOf is a domain's id as accounts have it: "" for the default one.
func domainOf(id string) string {
	if id == key.DomainDefault {
		return ""
	}
	return id
}

// enrol sees to it that the account of somebody who may write to it is there, with its present name.
func (s *Service) enrol(ctx context.Context, who *access.Principal, t *tokenDoc) error {
	if who.Anonymous() {
		return nil
	}
	if _, err := naming.ParseAccount(string(who.Account)); err != nil {
		return errs.E("keystone.enrol", errs.Unauthenticated, errs.Account, "").With(err)
	}
	a, err := s.o.Keys.Account(ctx, who.Account)
	domain := domainOf(t.Project.Domain.ID)
	switch {
	case errs.Is(err, errs.NotFound) && (who.Admin || who.Operator):
		_, err = s.o.Writer.CreateAccount(ctx, key.Account{
			ID: who.Account, Canonical: who.Canonical, DisplayName: t.Project.Name, Project: t.Project.Name, Domain: domain, Created: s.o.Clock.Now().UTC(),
		})
		if errs.IsThing(err, errs.Exists, errs.Account) {
			err = nil // another gateway was faster
		}
		return err
	case errs.Is(err, errs.NotFound):
		return nil
	case err != nil:
		return err
	case a.Disabled:
		return errs.E("keystone.enrol", errs.Unauthenticated, errs.Account, string(a.ID))
	}
	who.Canonical = a.Canonical
	if a.Project != t.Project.Name || a.Domain != domain {
		a.Project, a.Domain = t.Project.Name, domain
		if _, err := s.o.Writer.UpdateAccount(ctx, a); err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return nil
}
