package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/config"
	"pithos/internal/door/identity"
	"pithos/internal/door/keystone"
	"pithos/internal/door/pithos"
	"pithos/internal/door/s3"
	"pithos/internal/door/swift"
	"pithos/internal/errs"
	"pithos/internal/store/key"
)

// openstack makes the server of the OpenStack API, if it is to be served.
func (s *service) openstack(base context.Context, b *backend.Backend, t *tasks) error {
	cfg := s.o.Config
	if cfg.OpenStack.Listen == config.Off {
		return nil
	}
	secret, err := tokenKey(cfg.Data)
	if err != nil {
		return fmt.Errorf("the key of the OpenStack tokens: %w", err)
	}
	door := identity.New(b, identity.Options{
		Key: secret, Clock: s.o.Clock, Log: s.o.Log, Observe: s.metrics.observer("identity"),
		Keys: s.stores.keys, Writer: s.keyWriter(), Region: cfg.S3.Region, Pace: s.pace(),
	})
	users, err := s.users(door)
	if err != nil {
		return err
	}
	part, err := s.containerSync(base, t)
	if err != nil {
		return err
	}
	objects := swift.New(b, swift.Options{
		Who: users.who, Challenge: users.challenge, Version: s.o.Version, Clock: s.o.Clock, Log: s.o.Log, Observe: s.metrics.observer("swift"),
		Limits:  swift.Limits{ObjectBytes: cfg.Limits.PutSize},
		Domains: cfg.OpenStack.Domains, LookupCNAME: lookupCNAME(cfg.OpenStack.FollowCNAME),
		CORS:     swift.CORS{Origins: cfg.OpenStack.CORSOrigins, Expose: cfg.OpenStack.CORSExpose},
		Disabled: exists(cfg.OpenStack.DisableFile), ReadOnly: cfg.OpenStack.ReadOnly, QuotedETags: cfg.OpenStack.QuotedETags,
		OpenExpired: cfg.OpenStack.ReapDelay > 0, Names: swift.NameCheck{Characters: cfg.OpenStack.Forbidden},
		Rates: swift.Rates{
			Account: float64(cfg.OpenStack.Rates.Account), Container: float64(cfg.OpenStack.Rates.Container), Listing: float64(cfg.OpenStack.Rates.Listing),
		},
		Pace: s.pace(), Shares: s.shares, Sync: part,
	})
	t.sync.Sender = objects
	plus := pithos.New(b, pithos.Options{
		Who: users.who, SignIn: users.signIn, Key: secret, Clock: s.o.Clock, Log: s.o.Log, Observe: s.metrics.observer("pithos"),
		Pace: s.pace(), Shares: s.shares, External: cfg.OpenStack.ExternalURL, Content: cfg.OpenStack.ContentURL,
		Listing: cfg.OpenStack.Listing, NoQueryTokens: !cfg.OpenStack.QueryTokens,
	})
	signIn := s.shares.Limit(door)
	s.swiftIn = &gate{refuse: http.HandlerFunc(objects.Refuse), next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s3.Signed(r) {
			s.s3api.ServeHTTP(w, r)
			return
		}
		if pithos.Mine(r, swift.Extra) {
			plus.ServeHTTP(w, r)
			return
		}
		if users.here && identity.Serves(r.URL.Path) {
			signIn.ServeHTTP(w, r)
			return
		}
		objects.ServeHTTP(w, r)
	})}
	s.swift = s.publicServer(base, s.swiftIn)
	return nil
}

// users says who tells whose a token is, and who signs users in.
type users struct {
	here      bool // sign-in is this service's own
	challenge string
	who       func(ctx context.Context, token string) (access.Principal, bool, error)
	signIn    func(ctx context.Context, user, secret string) (string, key.User, error)
}

// users are those of the keystore, or of a Keystone elsewhere.
func (s *service) users(door *identity.Door) (users, error) {
	k := s.o.Config.Keystone
	if k.URL == "" {
		return users{here: true, who: door.Who, signIn: door.Issue}, nil
	}
	transport, err := transportTrusting(k.CA)
	if err != nil {
		return users{}, fmt.Errorf("keystone.ca: %w", err)
	}
	elsewhere := keystone.New(keystone.Options{
		URL: k.URL, Public: k.Public, User: k.User, UserDomain: k.UserDomain, Project: k.Project, ProjectDomain: k.ProjectDomain,
		Password: tokenOf(k.PasswordFile), Operators: k.Operators, Reseller: k.Reseller, Life: k.Cache,
		Client: &http.Client{Timeout: keystoneTimeout, Transport: transport}, Clock: s.o.Clock, Log: s.o.Log, Keys: s.stores.keys, Writer: s.keyWriter(),
	})
	return users{
		who: elsewhere.Who, challenge: elsewhere.Challenge(),
		signIn: func(context.Context, string, string) (string, key.User, error) {
			return "", key.User{}, errs.E("server.signIn", errs.Unsupported, errs.User, "").Because(errs.BadState, "users sign in at another service: "+elsewhere.Challenge())
		},
	}, nil
}

// keystoneTimeout bounds a question to a Keystone elsewhere.
const keystoneTimeout = 10 * time.Second

// keyWriter makes and removes keys; nil where users stand in the configuration file.
func (s *service) keyWriter() key.Writer {
	if s.stores.writer == nil {
		return nil // not an interface around nil
	}
	return s.stores.writer
}

// lookupCNAME finds what a host is an alias of, if aliases are to be followed.
func lookupCNAME(follow bool) func(context.Context, string) (string, error) {
	if !follow {
		return nil
	}
	return net.DefaultResolver.LookupCNAME
}

// exists tells whether a file is there; nil when there is none to look for.
func exists(file string) func() bool {
	if file == "" {
		return nil
	}
	return func() bool {
		_, err := os.Stat(file)
		return err == nil
	}
}

// drain ends the servers of all doors together: what still runs is cut when the last of them has had its time. It reports whether every
// handler has returned.
func (s *service) drain(ctx, last context.Context, l io.Closer, cut context.CancelFunc) bool {
	if s.swift == nil {
		return drain(ctx, last, s.s3, l, s.gate, cut)
	}
	var waiting atomic.Int32
	waiting.Store(2)
	cutLast := func() {
		if waiting.Add(-1) == 0 {
			cut()
		}
	}
	var swiftDone bool
	var both sync.WaitGroup
	both.Go(func() { swiftDone = drain(ctx, last, s.swift, s.swiftAt, s.swiftIn, cutLast) })
	s3Done := drain(ctx, last, s.s3, l, s.gate, cutLast)
	both.Wait()
	return s3Done && swiftDone
}
