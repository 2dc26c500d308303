package main

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const mib = 1 << 20

// machine is samples of what disk and processor allow.
type machine struct {
	syncs     []float64 // appends of 4 KiB, each with fsync, by one writer, per second
	streams   []float64 // bytes per second appended in pieces of 16 MiB, each with fsync
	sha, md5s []float64 // bytes per second on one core
}

// hashes is how many bytes per second can pass both hashes when all cores do nothing else.
func (m *machine) hashes() float64 {
	return float64(runtime.NumCPU()) / (1/median(m.sha) + 1/median(m.md5s))
}

// most is how many PUTs of objects with so many bytes the disk and the hashes allow per second. For small ones that is what one writer can
// sync; many may share a sync.
func (m *machine) most(size int) float64 {
	if size < mib {
		return median(m.syncs)
	}
	return min(median(m.streams), m.hashes()) / float64(size)
}

// sample measures once what bounds PUTs of objects with so many bytes, into a file with that name. The files stay until the end of
// the row, so that they take new memory for the system's cache as the service's do.
func (b *bench) sample(m *machine, size int, name string) error {
	path := filepath.Join(b.dir, name)
	if size < mib {
		n, err := b.appends(path, 4<<10)
		m.syncs = append(m.syncs, n)
		return err
	}
	n, err := b.appends(path, 16*mib)
	m.streams = append(m.streams, n*16*mib)
	m.sha = append(m.sha, hashSpeed(sha256.New()))
	m.md5s = append(m.md5s, hashSpeed(md5.New()))
	return err
}

// machine prints what the machine allows before anything else runs.
func (b *bench) machine() error {
	var m machine
	for range max(b.rounds, 3) {
		for _, size := range []int{4 << 10, mib} {
			if err := errors.Join(b.sample(&m, size, "limit"), os.Remove(filepath.Join(b.dir, "limit"))); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nOne writer appends 4 KiB and syncs %.0f times per second; appending 16 MiB and syncing gives %.0f MB/s. "+
		"On one core SHA-256 does %.0f MB/s and MD5 %.0f MB/s; all cores together pass %.0f MB/s through both.\n\n",
		median(m.syncs), median(m.streams)/1e6, median(m.sha)/1e6, median(m.md5s)/1e6, m.hashes()/1e6)
	return nil
}

// appends counts how often per second one writer can append a piece to a file and sync it.
func (b *bench) appends(path string, size int) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	piece := template()[:size]
	count := 0
	began := time.Now()
	for time.Since(began) < b.span && err == nil {
		if _, err = f.Write(piece); err == nil {
			err = f.Sync()
			count++
		}
	}
	took := time.Since(began)
	return float64(count) / took.Seconds(), errors.Join(err, f.Close())
}

func hashSpeed(h hash.Hash) float64 {
	piece := template()
	began := time.Now()
	done := 0
	for time.Since(began) < 200*time.Millisecond {
		h.Write(piece[:mib])
		done += mib
	}
	return float64(done) / time.Since(began).Seconds()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted)%2 == 1 {
		return sorted[len(sorted)/2]
	}
	return (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
}

func medianOf[T any](samples []T, value func(T) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, value(s))
	}
	return median(values)
}
