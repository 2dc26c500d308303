package server

import (
	"context"
	"net"
	"net/http"

	"pithos/internal/config"
)

// challengeConns bounds the connections of authorities.
const challengeConns = 64

// secureListeners reads the certificates of the listeners, and opens the one where authorities ask over HTTP.
func (s *service) secureListeners(ctx context.Context) (err error) {
	cfg := s.o.Config
	if s.certbot, err = newCertbot(cfg, s.o.Version, s.o.Log); err != nil {
		return err
	}
	for _, l := range []struct {
		section string
		tls     config.TLS
		to      **secured
	}{{"s3", cfg.S3.TLS, &s.s3TLS}, {"openstack", cfg.OpenStack.TLS, &s.swiftTLS}} {
		if !l.tls.On() {
			continue
		}
		if *l.to, err = newSecured(l.section, l.tls, s.certbot); err != nil {
			return err
		}
		s.watcher.add((*l.to).watched())
	}
	if s.certbot != nil && cfg.ACME.HTTPListen != config.Off {
		s.challengeAt, err = listen(ctx, "acme.http_listen", "acme-http-listen", cfg.ACME.HTTPListen, challengeConns)
	}
	return err
}

// secure makes a listener speak TLS if it is to, and mends what passes above.
func (s *service) secure(base context.Context, l net.Listener, t *secured) net.Listener {
	if t == nil {
		return s.mender.listener(l)
	}
	return newHandshakes(base, l, &handshakes{config: t.config(), mender: s.mender, timeout: s.o.Config.Limits.HeaderTimeout, log: s.o.Log})
}

// challenges is the server that authorities ask over HTTP.
func (s *service) challenges(base context.Context) *http.Server {
	return s.httpServer(base, s.certbot.http01(), adminHeader)
}

func schemeOf(t *secured) string {
	if t == nil {
		return "http"
	}
	return "https"
}
