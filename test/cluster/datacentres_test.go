package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

// centres are two data centres of one node each, with a gateway in each. Users, names of buckets and the default region have their home in dc1, the region north has
// its own in dc2; look-ups are answered near while dc1 is down.
type centres struct {
	*gateways
	at     nodes.Nodes
	stored map[string][]byte // what was acknowledged, by path
}

const (
	centresReplication = "dc1:1,dc2:1"
	hereBucket         = "here"  // in the default region
	thereBucket        = "there" // in the region north
)

func (c *centres) store(name, more string) string {
	return fmt.Sprintf("  kind: cassandra\n  hosts: [%s]\n  keyspace: dcs_%s\n  replication: %q\n%s", strings.Join(c.at.Hosts, ", "), name, centresReplication, more)
}

// config is that of a gateway in a data centre; without north it knows the default region only.
func (c *centres) config(centre int, north bool) string {
	near := fmt.Sprintf("  datacenter: dc%d\n", centre)
	text := "bucketstore:\n" + c.store("buckets", "  home: dc1\n"+near) + "metastore:\n" + c.store("meta", "  home: dc1\n") + "blobstore:\n" + c.store("blobs", near)
	if north {
		text += "regions:\n  north:\n    metastore:\n" + strings.ReplaceAll("  "+strings.TrimSuffix(c.store("meta_north", "  home: dc2\n"), "\n"), "\n", "\n    ") + "\n"
		text = strings.ReplaceAll(text, "metastore:\n    kind", "metastore:\n      kind")
	}
	return text
}

func (c *centres) keystore(centre int) string {
	return c.store("keys", fmt.Sprintf("  home: dc1\n  datacenter: dc%d\n", centre))
}

// TestDatacentres shows what goes on while one data centre of two is down, and that nothing acknowledged is lost.
func TestDatacentres(t *testing.T) {
	if os.Getenv("PITHOS_TEST_DATACENTRES") == "" {
		t.Skip("this needs two data centres of one node each; run it with test/cluster/run datacentres")
	}
	c := &centres{at: environment(t), gateways: &gateways{t: t}, stored: map[string][]byte{}}
	binary, err := service.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.install(binary)
	for centre := 1; centre <= 2; centre++ {
		c.start(binary, centre)
	}
	c.enrol()
	c.claimNames()
	c.makeBuckets()
	for i := range c.all {
		for _, b := range []string{hereBucket, thereBucket} {
			c.mustPut(i, b, 100)
			c.mustPut(i, b, 300_000)
		}
	}
	c.readAll()
	c.refuseIgnorant(binary)

	c.broken("2", hereBucket, thereBucket, 0)
	c.broken("1", thereBucket, hereBucket, 1)
	c.claimNames()
}

// install makes the keyspaces of all stores and regions by the command that operators use.
func (c *centres) install(binary string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "pithos.yaml")
	if err := os.WriteFile(file, []byte("keystore:\n"+c.keystore(1)+c.config(1, true)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	out, err := exec.CommandContext(c.t.Context(), binary, "schema", "install", "--config", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "regions.north.metastore: keyspace dcs_meta_north") {
		c.t.Fatalf("schema install: %v\n%s", err, out)
	}
}

func (c *centres) start(binary string, centre int) {
	c.t.Helper()
	s, err := service.Start(context.WithoutCancel(c.t.Context()), service.Options{
		Binary: binary, Data: filepath.Join(c.t.TempDir(), "data"), Config: c.config(centre, true), Keystore: c.keystore(centre), Host: nodes.Address(gatewayHost + centre), StartMax: startMax,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.all = append(c.all, s)
	c.t.Cleanup(func() {
		s.Kill()
		if c.t.Failed() {
			c.t.Logf("the gateway in dc%d, its log ends:\n%s", centre, s.LogTail())
		}
		if err := s.Remove(); err != nil {
			c.t.Error(err)
		}
	})
}

// try sends one request to a gateway.
func (c *centres) try(gateway int, keys thin.Keys, method, path, query string, body []byte) (thin.Response, error) {
	client := thin.New(c.all[gateway].Addr, keys, requestMax)
	defer client.Close()
	answer, err := client.Do(&thin.Request{Method: method, Path: path, Query: query, Body: body}, nil)
	answer.Body = bytes.Clone(answer.Body)
	return answer, err
}

// until sends a request to a gateway until it is answered with a status. Until then it may be unanswered or 503, and nothing else.
func (c *centres) until(want, gateway int, method, path string, body []byte) thin.Response {
	c.t.Helper()
	deadline := time.Now().Add(settleMax)
	for {
		answer, err := c.try(gateway, service.Admin, method, path, "", body)
		switch {
		case err == nil && answer.Status == want:
			return answer
		case err == nil && answer.Status != http.StatusServiceUnavailable && !answer.OK():
			c.t.Fatalf("%s %s at the gateway in dc%d: %d %s", method, path, gateway+1, answer.Status, answer.Body)
		case time.Now().After(deadline):
			c.t.Fatalf("%s %s at the gateway in dc%d: not %d after %v, but %d %s, %v", method, path, gateway+1, want, settleMax, answer.Status, answer.Body, err)
		}
		if err := clock.Wait(c.t.Context(), 200*time.Millisecond); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *centres) mustPut(gateway int, bucket string, size int) {
	c.t.Helper()
	path := fmt.Sprintf("/%s/%d", bucket, len(c.stored))
	data := bytes.Repeat(fmt.Appendf(nil, "%s at %d, ", path, gateway), size/10)[:size]
	c.until(http.StatusOK, gateway, http.MethodPut, path, data)
	c.stored[path] = data
}

// read wants an object to be whole at a gateway, as soon as it answers.
func (c *centres) read(gateway int, path string) {
	c.t.Helper()
	if answer := c.until(http.StatusOK, gateway, http.MethodGet, path, nil); !bytes.Equal(answer.Body, c.stored[path]) {
		c.t.Fatalf("%s at the gateway in dc%d: %d other bytes", path, gateway+1, len(answer.Body))
	}
}

// readAll reads everything at both gateways, whichever it was written at.
func (c *centres) readAll() {
	c.t.Helper()
	for i := range c.all {
		for _, path := range slices.Sorted(maps.Keys(c.stored)) {
			c.read(i, path)
		}
	}
}

// makeBuckets makes a bucket in each region, at one gateway, and finds it at once at the other.
func (c *centres) makeBuckets() {
	c.t.Helper()
	for i, b := range []struct{ name, body, location string }{
		{hereBucket, "", "></LocationConstraint>"},
		{thereBucket, "<CreateBucketConfiguration><LocationConstraint>north</LocationConstraint></CreateBucketConfiguration>", ">north</LocationConstraint>"},
	} {
		if answer, err := c.try(i, service.Admin, http.MethodPut, "/"+b.name, "", []byte(b.body)); err != nil || !answer.OK() {
			c.t.Fatalf("bucket %s: %d %s, %v", b.name, answer.Status, answer.Body, err)
		}
		answer, err := c.try(1-i, service.Admin, http.MethodGet, "/"+b.name, "location=", nil)
		if err != nil || !answer.OK() || !strings.Contains(string(answer.Body), b.location) {
			c.t.Fatalf("bucket %s at the other gateway: %d %s, %v", b.name, answer.Status, answer.Body, err)
		}
	}
}

// claimNames has two accounts claim the same names, each at its gateway, at the same moment: each name has one owner.
func (c *centres) claimNames() {
	c.t.Helper()
	for n := range 5 {
		name := fmt.Sprintf("/claimed-%d-%d", len(c.stored), n)
		var won [2]bool
		var wg sync.WaitGroup
		for i, keys := range []thin.Keys{service.Admin, otherKeys} {
			wg.Go(func() {
				for range 100 { // a claim that lost to the other's agreement is 503, and is sent again
					answer, err := c.try(i, keys, http.MethodPut, name, "", nil)
					if err == nil && answer.Status != http.StatusServiceUnavailable {
						won[i] = answer.OK()
						return
					}
				}
			})
		}
		wg.Wait()
		if won[0] == won[1] {
			c.t.Errorf("%s: claimed by %v", name, won)
		}
	}
}

// refuseIgnorant starts a gateway that does not know the region north, whose blocks it would take for garbage.
func (c *centres) refuseIgnorant(binary string) {
	c.t.Helper()
	s, err := service.Start(c.t.Context(), service.Options{
		Binary: binary, Data: filepath.Join(c.t.TempDir(), "data"), Config: c.config(1, false), Keystore: c.keystore(1), Host: nodes.Address(gatewayHost + 9), StartMax: startMax,
	})
	if err == nil {
		s.Kill()
	}
	if err == nil || !strings.Contains(err.Error(), "regions.north") {
		c.t.Errorf("a gateway without the region: %v", err)
	}
}

// broken kills the node of a data centre. Buckets at home in the other one go on, through the gateway there; those at home in this one answer 503, and so do claims of
// names, which need both. A gateway starts meanwhile. When the node is back, everything is there at both.
func (c *centres) broken(node, up, down string, gateway int) {
	c.t.Helper()
	ctx := context.WithoutCancel(c.t.Context())
	if _, err := nodes.Run(ctx, "kill", node); err != nil {
		c.t.Fatal(err)
	}
	var lost string
	for path := range c.stored {
		if strings.HasPrefix(path, "/"+down+"/") {
			lost = path
		}
	}
	check := func() {
		c.t.Helper()
		c.until(http.StatusServiceUnavailable, gateway, http.MethodGet, lost, nil)
		for path := range maps.Clone(c.stored) {
			if strings.HasPrefix(path, "/"+up+"/") {
				c.read(gateway, path)
			}
		}
		c.mustPut(gateway, up, 100)
		c.mustPut(gateway, up, 300_000)
		if answer, err := c.try(gateway, service.Admin, http.MethodPut, "/claimed-while-"+node+"-is-down", "", nil); err != nil || answer.Status != http.StatusServiceUnavailable {
			c.t.Errorf("a name is claimed while node %s is down: %d %s, %v", node, answer.Status, answer.Body, err)
		}
	}
	check()
	s := c.all[gateway]
	s.Kill()
	if err := s.Restart(ctx); err != nil {
		c.t.Fatalf("a gateway does not start while node %s is down: %v", node, err)
	}
	check()
	if _, err := nodes.Run(ctx, "restart", node); err != nil {
		c.t.Fatal(err)
	}
	c.readAll()
	for i := range c.all {
		c.mustPut(i, up, 100)
		c.mustPut(i, down, 300_000)
	}
	c.readAll()
}
