// Package embedded is the engine that keeps everything in one data directory of
// one process: rows in one Pebble instance, large blocks in packs.
//
//	DIR/FORMAT     format version of the directory
//	DIR/LOCK       locked by the process that has it open; DIR/LOCK.pid names that process
//	DIR/BALLAST    space set aside for the log, given up when the disk is full
//	DIR/meta/      Pebble: metadata, names, the index of blocks, small blocks (docs/formats/keys.md)
//	DIR/packs/     large blocks (docs/formats/packs.md)
//
// Everything goes through one vfs.FS, so that a crash clone or an injected error covers rows and packs alike.
package embedded
