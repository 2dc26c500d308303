//go:build unix && !race

package slab

import "golang.org/x/sys/unix"

func allocate(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

// release gives the pages back. Failing to is no reason to fail anything: the address range is lost, nothing else.
func release(data []byte) { _ = unix.Munmap(data) }
