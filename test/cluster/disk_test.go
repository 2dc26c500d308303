package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/engine/cassandra"
	"pithos/internal/worker"
	"pithos/test/nodes"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	damagedDisk  = "disk" // bucket, and prefix of the keyspaces
	damagedNode  = 3
	damagedReads = 6 // of each object: which nodes answer is drawn
)

// disk is a service of whose nodes one has a disk that gives back other bytes than were written.
type disk struct {
	*testing.T
	g      *gateways
	at     nodes.Nodes
	random *rand.ChaCha8
	bodies map[string][]byte // of the objects there are, by name
}

// TestDamagedDisk changes bytes in the data files of one node of three, which is what a failing disk does. Every object is read as it was written, the damage spreads to
// no other node, the scrubber counts it, twice the same, and heals it when the damaged files have been taken away. In the end every table of that node is damaged: requests of all
// kinds go on.
func TestDamagedDisk(t *testing.T) {
	at := environment(t)
	if err := errors.Join(at.Install(t.Context(), damagedDisk), at.Empty(t.Context(), damagedDisk)); err != nil {
		t.Fatal(err)
	}
	d := disk{T: t, g: startGateways(t, at, damagedDisk, "", 0), at: at, random: rand.NewChaCha8([32]byte{byte(*seed)}), bodies: map[string][]byte{}}
	if _, err := d.g.insist(service.Admin, &thin.Request{Method: "PUT", Path: "/" + damagedDisk}); err != nil { // the balancer has begun then
		t.Fatal(err)
	}
	for i := range 8 {
		d.put(fmt.Sprintf("block-%d", i), 300_000)
	}
	for i := range 4 {
		d.put(fmt.Sprintf("kept-%d", i), 6000)
	}
	blocks, cells := nodes.Keyspace(damagedDisk, cassandra.BlobSchema()), nodes.Keyspace(damagedDisk, cassandra.MetaSchema())
	wrong := byte(0)
	d.stopped(func(data string) {
		for _, name := range slices.Sorted(maps.Keys(d.bodies)) {
			keyspace := cells
			if strings.HasPrefix(name, "block") {
				keyspace = blocks
			}
			// Both ways: of two values of one timestamp Cassandra takes the greater.
			flip(t, filepath.Join(data, keyspace), d.bodies[name], wrong)
			wrong = ^wrong
		}
	})
	d.read("damaged")
	node := nodes.Address(damagedNode)
	for range 2 {
		r := d.scrub()
		if want := map[string]int64{node: 12}; !maps.Equal(r.FailingNodes, want) || len(r.Damaged)+len(r.Unreadable)+len(r.Healed)+len(r.DamagedBodies)+len(r.UnreadableBodies)+len(r.HealedBodies) > 0 || r.Quarantined > 0 {
			t.Errorf("damaged: %+v; wanted failing %v and nothing else", r, want)
		}
	}
	d.put("kept-0", 6000)
	d.put("block-0", 300_000)
	d.read("damaged and written")

	// The operator takes the damaged files away.
	d.stopped(func(data string) {
		lose(t, filepath.Join(data, blocks), "chunk-*")
		lose(t, filepath.Join(data, cells), "cell-*")
	})
	// Whether the scrubber heals the bodies, or the read by which it finds their cells has done so before, depends on the nodes that answer that.
	r := d.scrub()
	if len(r.Healed) != int(r.Blocks) || r.Blocks < 8 || r.Bodies != 4 || len(r.FailingNodes)+len(r.Damaged)+len(r.Unreadable)+len(r.DamagedBodies)+len(r.UnreadableBodies) > 0 || r.Quarantined > 0 {
		t.Errorf("to be healed: %+v", r)
	}
	r = d.scrub()
	if r.Damage() || len(r.Healed)+len(r.HealedBodies) > 0 || r.Copies != 3*(r.Blocks+r.Bodies) {
		t.Errorf("healed: %+v", r)
	}
	d.read("healed")

	d.stopped(func(data string) {
		for _, sc := range nodes.Schemas() {
			n := spoil(t, filepath.Join(data, nodes.Keyspace(damagedDisk, sc)))
			t.Logf("%s: %d files damaged", sc.Store, n)
		}
	})
	d.read("everything is damaged")
	d.put("block-1", 300_000)
	d.put("kept-1", 6000)
	d.put("block-new", 5_000_000)
	d.remove("block-2")
	d.remove("kept-2")
	d.read("everything is damaged, and written")
	d.stopped(func(data string) {
		for _, sc := range nodes.Schemas() {
			lose(t, filepath.Join(data, nodes.Keyspace(damagedDisk, sc)), "*")
		}
	})
	for _, sc := range nodes.Schemas() {
		d.nodetool("repair", "--full", nodes.Keyspace(damagedDisk, sc))
	}
	if r = d.scrub(); r.Damage() || len(r.Healed)+len(r.HealedBodies) > 0 {
		t.Errorf("in the end: %+v", r)
	}
	d.read("in the end")
}

// must sends a request once and wants it to succeed.
func (d *disk) must(r *thin.Request) []byte {
	d.Helper()
	c := d.g.client(service.Admin)
	defer c.Close()
	answer, err := c.Do(r, nil)
	if err != nil || !answer.OK() {
		d.Errorf("%s %s?%s: %d %v", r.Method, r.Path, r.Query, answer.Status, errors.Join(err, answer.Err()))
	}
	return bytes.Clone(answer.Body)
}

func (d *disk) put(name string, size int) {
	d.Helper()
	body := make([]byte, size)
	_, _ = d.random.Read(body)
	d.must(&thin.Request{Method: "PUT", Path: "/" + damagedDisk + "/" + name, Body: body})
	d.bodies[name] = body
}

func (d *disk) remove(name string) {
	d.Helper()
	d.must(&thin.Request{Method: "DELETE", Path: "/" + damagedDisk + "/" + name})
	delete(d.bodies, name)
}

// read compares all objects and the listing.
func (d *disk) read(when string) {
	d.Helper()
	d.Log(when)
	for range damagedReads {
		for name, body := range d.bodies {
			if got := d.must(&thin.Request{Method: "GET", Path: "/" + damagedDisk + "/" + name}); !bytes.Equal(got, body) {
				d.Errorf("%s: %s has %d bytes, which are not those that were put", when, name, len(got))
			}
		}
		list := string(d.must(&thin.Request{Method: "GET", Path: "/" + damagedDisk, Query: "list-type=2"}))
		for name := range d.bodies {
			if !strings.Contains(list, "<Key>"+name+"</Key>") {
				d.Errorf("%s: the list has no %s: %s", when, name, list)
			}
		}
		if n := strings.Count(list, "<Key>"); n != len(d.bodies) {
			d.Errorf("%s: the list has %d names, not %d", when, n, len(d.bodies))
		}
	}
}

// scrub runs the service's own command until all nodes have answered, with what all runs have healed. That it fails when there is damage is its way to say so.
func (d *disk) scrub() (r worker.ScrubReport) {
	d.Helper()
	var healed, bodies []string
	for deadline := time.Now().Add(settleMax); ; {
		out, err := d.g.all[0].Run(d.Context(), "scrub", "--json")
		r = worker.ScrubReport{}
		if uerr := json.Unmarshal([]byte(out), &r); uerr != nil {
			d.Fatal(err, uerr, out)
		}
		if (err != nil) != r.Damage() {
			d.Errorf("scrub ended with %v: %s", err, out)
		}
		healed, bodies = append(healed, r.Healed...), append(bodies, r.HealedBodies...)
		if r.Unreached == 0 {
			r.Healed, r.HealedBodies = healed, bodies
			return r
		}
		if time.Now().After(deadline) {
			d.Fatalf("after %v not all nodes answer: %s", settleMax, out)
		}
		if err := clock.Wait(d.Context(), time.Second); err != nil {
			d.Fatal(err)
		}
	}
}

func (d *disk) nodetool(args ...string) {
	d.Helper()
	d.steer(append([]string{"nodetool", fmt.Sprint(damagedNode)}, args...)...)
}

func (d *disk) steer(args ...string) {
	d.Helper()
	if out, err := nodes.Run(d.Context(), args...); err != nil {
		d.Fatal(out, err)
	}
}

// stopped does something to the data files of the node while it does not run. Its commit log is empty then: what it reads are these files.
func (d *disk) stopped(do func(data string)) {
	d.Helper()
	node := fmt.Sprint(damagedNode)
	d.nodetool("drain")
	d.steer("kill", node)
	do(filepath.Join(os.Getenv("CASSANDRA_HOME_DIR"), "node"+node, "data"))
	d.steer("restart", node)
}

// dataFiles gives the files of tables below a folder to change, and writes back what has changed.
func dataFiles(t *testing.T, folder string, change func(raw []byte) bool) (changed int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "-Data.db") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !change(raw) {
			return err
		}
		changed++
		return os.WriteFile(path, raw, 0o600)
	})
	if err != nil || changed == 0 {
		t.Fatalf("%s: %d files changed, %v", folder, changed, err)
	}
	return changed
}

// flip makes a byte of a body wrong wherever it is stored below a folder.
func flip(t *testing.T, folder string, body []byte, wrong byte) {
	t.Helper()
	const look = 64 // bytes that are looked for
	dataFiles(t, folder, func(raw []byte) bool {
		for from := 1000; from < 5000; from += 500 { // a piece may lie over the end of what is compressed at once
			if at := bytes.Index(raw, body[from:from+look]); at >= 0 {
				for raw[at] == wrong {
					at++
				}
				raw[at] = wrong
				return true
			}
		}
		return false
	})
}

// spoil changes the byte in the middle of every file below a folder but those of its schema's version, which nothing reads while the service runs.
func spoil(t *testing.T, folder string) (files int) {
	t.Helper()
	return dataFiles(t, folder, func(raw []byte) bool {
		raw[len(raw)/2] ^= 1
		return true
	})
}

// lose deletes the files of tables.
func lose(t *testing.T, keyspace, tables string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(keyspace, tables, "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s/%s: %d files, %v", keyspace, tables, len(files), err)
	}
	more, err := filepath.Glob(filepath.Join(keyspace, tables, "*-TOC.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}
