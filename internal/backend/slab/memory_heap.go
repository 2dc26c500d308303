//go:build !unix || race

package slab

// Under the race detector slabs are ordinary memory, since it does not watch other addresses.

func allocate(n int) ([]byte, error) { return make([]byte, n), nil }

func release([]byte) {}
