package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"pithos/internal/door/swift"
)

// Times of requests to other clusters; what a body may take besides follows from its size.
const (
	syncDialTimeout   = 5 * time.Second
	syncAnswerTimeout = time.Minute
)

// containerSync is the part that the OpenStack API takes in container sync.
func (s *service) containerSync(ctx context.Context, t *tasks) (swift.Sync, error) {
	cfg := s.o.Config.OpenStack.Sync
	transport, err := transportTrusting(cfg.CA)
	if err != nil {
		return swift.Sync{}, fmt.Errorf("openstack.sync_ca: %w", err)
	}
	transport.DialContext = (&net.Dialer{Timeout: syncDialTimeout}).DialContext
	transport.ResponseHeaderTimeout, transport.DisableCompression = syncAnswerTimeout, true
	part := swift.Sync{
		Current: cfg.Cluster, Hosts: cfg.Hosts, Changed: t.sync.Changed,
		Client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if cfg.Realms == "" {
		return part, nil
	}
	var realms atomic.Pointer[swift.Realms]
	load := func() error {
		text, err := os.ReadFile(cfg.Realms)
		if err != nil {
			return err
		}
		read, err := swift.ParseRealms(text)
		if err == nil {
			realms.Store(read)
		}
		return err
	}
	if err := load(); err != nil {
		return swift.Sync{}, fmt.Errorf("openstack.sync_realms: %s: %w", cfg.Realms, err)
	}
	if realm, cluster, _ := strings.Cut(strings.Trim(cfg.Cluster, "/"), "/"); cfg.Cluster != "" && !realms.Load().Cluster(realm, cluster) {
		s.o.Log.WarnContext(ctx, "openstack.sync_cluster is not in the file of realms", "cluster", cfg.Cluster, "file", cfg.Realms)
	}
	s.watcher.add(&watched{what: "realms of container sync", files: []string{cfg.Realms}, load: load, hint: "see docs/operations/container-sync.md"})
	part.Realms = realms.Load
	return part, nil
}
