package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/admin"
)

// dialTimeout is how long a running server may take to say that it is there.
const dialTimeout = 3 * time.Second

// Connect gives the admin API of a data directory: of the server that runs on it or, when none does, of the directory itself, opened by
// this process and locked until close. online tells which.
func Connect(ctx context.Context, o Options) (client *admin.Client, online bool, closeAll func() error, err error) {
	if c, err := dial(ctx, o.Config.Data); err == nil {
		return c, true, func() error { return nil }, nil
	}
	c, closeAll, err := Offline(ctx, o)
	return c, false, closeAll, err
}

// dial finds the running server by the files that it keeps in its data directory. A server that was killed leaves them behind; then
// nobody knows the token, which each start draws anew.
func dial(ctx context.Context, data string) (*admin.Client, error) {
	e, err := ReadEndpoints(data)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(data, admin.TokenFile))
	if err != nil {
		return nil, err
	}
	c := &admin.Client{Base: e.Admin, Token: strings.TrimSpace(string(token)), HTTP: &http.Transport{}} // no proxy: it is this machine
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return c, c.Do(ctx, http.MethodGet, "/v1/version", nil, nil, new(admin.Version))
}

// Offline opens the data directory, which must exist, and gives its admin API without a listener.
func Offline(ctx context.Context, o Options) (client *admin.Client, closeAll func() error, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if _, err := os.Stat(o.Config.Data); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the data directory %s does not exist; name the right one with --data DIR or --config FILE, or run pithos serve first: %w", o.Config.Data, err)
	}
	st, err := openStores(ctx, o.Config, o.Open, o.Log, o.Clock)
	if err != nil {
		return nil, nil, err
	}
	if st.writer != nil { // a first start that was interrupted is finished here too, so that its key is valid
		if c, err := ReadCredentials(o.Config.Data); err == nil && c.Pending {
			if _, err := administrator(ctx, o.Config.Data, st.writer, o.Clock.Now()); err != nil {
				return nil, nil, errors.Join(err, st.close())
			}
		}
	}
	t := newTasks(st, st.newBackend(o.Config, o.Log, o.Clock, nil), o)
	t.alone = true
	a := adminOptions(o, st, t)
	a.Token = "local" // the handler is in this process: who can call it holds the lock already
	return &admin.Client{Base: "http://local", Token: a.Token, HTTP: admin.Local{Handler: admin.New(a)}}, st.close, nil
}
