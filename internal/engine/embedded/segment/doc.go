// Package segment keeps the bytes of large blocks in packs: append-only files
// of records. It knows nothing of references and of what is alive; the index
// (package blobs) does.
//
// A pack is named by its number: 000000000000002a.pack. All numbers in it are
// little endian; CRCs are CRC32C (Castagnoli).
//
//	pack   = header record*
//
//	header   0  magic     8   "PITHPACK"
//	         8  version   4   1
//	        12  zero      4
//	        16  number    8   of the pack
//	        24  crc       4   of bytes 0..24
//	        28  zero      4
//
//	record   0  magic     8   f1 'P' 'b' 'l' 'o' 'c' 'k' 1a
//	         8  id       32   SHA-256 of the data
//	        40  length    4   of the data, 1..16 MiB
//	        44  flags     4   0; a reader refuses others
//	        48  sums    4*n   CRC32C of each 64 KiB chunk of the data, n = ceil(length/64 KiB)
//	      48+4n crc       4   of bytes 0..48+4n, then the pack's number and the record's offset (8 each)
//	      52+4n data  length
//	            zeros         up to a multiple of 8
//
// A record begins at a multiple of 8. Because its CRC covers its place, bytes
// of a record that lie inside another record's data are not mistaken for one.
//
// Records are written by several goroutines at once into reserved ranges, so
// after a crash a pack may have a torn tail and torn records, or holes, among
// its last ones. Nobody was promised those: a row of the index is written only
// after Sync. A scan steps over whatever is not a record and goes on at the next
// magic number whose header is intact, so damage never hides what lies behind it.
package segment
