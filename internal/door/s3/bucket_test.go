package s3

import "testing"

// bucketCases are the end-to-end tests of the operations on buckets, listings and access control lists.
func bucketCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){}
}
