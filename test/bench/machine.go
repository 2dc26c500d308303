package main

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"hash"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const mib = 1 << 20

// machine is what disk and processor allow, each the median of some samples.
type machine struct {
	syncs     float64 // appends of 4 KiB, each with fsync, by one writer, per second
	stream    float64 // bytes per second appended in pieces of 16 MiB, each with fsync
	sha, md5s float64 // bytes per second on one core
}

// hashes is how many bytes per second can pass both hashes when all cores do nothing else.
func (m machine) hashes() float64 {
	return float64(runtime.NumCPU()) / (1/m.sha + 1/m.md5s)
}

// measureMachine takes the samples.
func (b *bench) measureMachine() (machine, error) {
	var syncs, streams, shas, md5s []float64
	for range max(b.rounds, 3) {
		n, err := b.appends(4 << 10)
		if err != nil {
			return machine{}, err
		}
		syncs = append(syncs, n)
		if n, err = b.appends(16 * mib); err != nil {
			return machine{}, err
		}
		streams = append(streams, n*16*mib)
		shas = append(shas, hashSpeed(sha256.New()))
		md5s = append(md5s, hashSpeed(md5.New()))
	}
	return machine{median(syncs), median(streams), median(shas), median(md5s)}, nil
}

// appends counts how often per second one writer can append a piece to a file and sync it.
func (b *bench) appends(size int) (float64, error) {
	path := filepath.Join(b.dir, "appends")
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
	return float64(count) / took.Seconds(), errors.Join(err, f.Close(), os.Remove(path))
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
