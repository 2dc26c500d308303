package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pithos/internal/door/admin"
	"pithos/test/service"
)

// profile begins a CPU profile of the service over the measurements of a cell, if wanted. The function waits for its end and keeps it as
// a file that "go tool pprof" reads.
func (b *bench) profile(s *service.Service, c cell) (end func() error) {
	if b.profiles == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- b.fetchProfile(s, filepath.Join(b.profiles, strings.NewReplacer(" ", "-", ",", "").Replace(c.name())))
	}()
	return func() error { return <-done }
}

func (b *bench) fetchProfile(s *service.Service, path string) error {
	token, err := os.ReadFile(filepath.Join(s.Data, admin.TokenFile))
	if err != nil {
		return err
	}
	// Of the two servers only the service is profiled, so the other's turns do not matter.
	seconds := max(int(2*time.Duration(b.rounds)*b.span/time.Second), 1)
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.Admin, seconds), http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("profile: status %d: %.200s", answer.StatusCode, raw)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}
