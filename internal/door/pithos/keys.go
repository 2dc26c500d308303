package pithos

import (
	"context"
	"sync"
	"time"

	"pithos/internal/naming"
)

// Bounds of what is kept of containers' metadata keys.
const (
	keysKept = 1000 // containers
	// keysRest is how long a container must not have changed for its keys to be kept: two changes closer than the clocks of gateways could look like one.
	keysRest = 10 * time.Second
)

// keysCache keeps the metadata keys of containers until they change. The zero value is ready.
type keysCache struct {
	mu   sync.Mutex
	kept map[naming.ContainerID]keptKeys
}

type keptKeys struct {
	changed time.Time // the last change of the container when they were read
	names   []string
}

func (k *keysCache) get(id naming.ContainerID, changed time.Time) ([]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.kept[id]
	return e.names, ok && e.changed.Equal(changed)
}

func (k *keysCache) put(id naming.ContainerID, changed time.Time, names []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= keysKept {
		k.kept = map[naming.ContainerID]keptKeys{}
	}
	k.kept[id] = keptKeys{changed, names}
}

// knownKeys is metaKeys, kept for the owner as long as the container, which was last changed at a time, stays as it is.
func (c *call) knownKeys(ctx context.Context, id naming.ContainerID, changed time.Time, owner bool, until time.Time, past bool) ([]string, error) {
	if !owner || past || c.given("shared") || c.given("public") {
		return c.metaKeys(ctx, owner, until, past)
	}
	if names, ok := c.door.keys.get(id, changed); ok {
		return names, nil
	}
	names, err := c.metaKeys(ctx, owner, until, past)
	if err == nil && c.started.Sub(changed) > keysRest {
		c.door.keys.put(id, changed, names)
	}
	return names, err
}
