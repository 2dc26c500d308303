// Package metadata keeps the metastore in Pebble.
//
// # Rows
//
// A name that has versions has exactly one head, the newest version, in one of two spaces: live, or marker when it is a delete marker.
// So a listing walks the live heads and meets nothing else, and a GET of the newest version is one point read. Older versions stand
// in the history, newest first. The head also tells how many versions lie below it and which of them is the null version, so that
// an overwrite of an unversioned object needs no iterator. A long detail (a big block map, parts, much metadata) has a row of its own, so
// that it does not weigh on listings. docs/formats/keys.md draws every row.
//
// # A commit
//
// A commit locks its name (and its source's), reads what meta.Plan has to know, plans, locks the holders that gain or lose a name, reserves the
// counters against the limits, and applies one batch. Then it drops every lock and waits for the batch to be synced; Pebble syncs once
// for all that wait. The next writer of the name may meanwhile build on the batch: it is in the same log behind it, so it cannot be durable
// without it. Whoever answers from what it read, and writes nothing (Get; a commit that is refused), waits for the flight of that name first,
// so that nobody is told of a version that a power cut takes back. Listings do not wait.
//
// # Order of locks
//
// The container's gate (for reading; Seal takes it for writing), stripes of names in the order of their numbers, stripes of holders in
// the order of their numbers, the account's counters, the container's counters. Nobody waits for the disk's sync under any of them.
package metadata
