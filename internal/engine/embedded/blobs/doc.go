// Package blobs is the blobstore of the embedded engine: an index in Pebble,
// small blocks inside Pebble, large ones in packs (package segment).
//
// # Rules
//
// The order of writes keeps the promises; docs/formats/keys.md draws the rows.
//
//  1. A row of the index is written only when the bytes it points to are on stable storage. Put appends the bytes and keeps
//     the block in memory as pending; Sync fsyncs the packs and then writes the rows. So a crash at any point leaves at
//     worst bytes without a row, which are dead space. The reference is written before the bytes, so no row is ever without one.
//  2. Everything in Pebble is written unsynced, in order, into one log. A later synced commit, of the metastore or of Sync,
//     makes all of it durable. Nothing outside of Pebble is destroyed because of an unsynced row: a pack is removed only after a
//     synced commit.
//  3. A block is deleted only under the lock of its stripe, after looking for references there. Put and Hold write their
//     references and look for the block under the same lock, so the block is either seen to be referenced, or gone before they look.
//  4. Releasing a reference makes the block a candidate in the same batch; Sweep looks at candidates only. So its cost
//     depends on what was released, not on what is stored, and every unreferenced block is found.
//  5. A failed fsync loses pending blocks. Until each of them was put again or is held by nobody, Sync fails, so no version
//     that needs one can be committed.
package blobs
