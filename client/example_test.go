package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"pithos/client"
)

// exampleService is a service on loopback with the users alice:admin and bob:admin, and what ends it.
func exampleService() (url string, end func()) {
	door, err := newDoor(context.Background())
	if err != nil {
		panic(err)
	}
	srv := httptest.NewServer(door)
	return srv.URL, srv.Close
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A changed file sends only the blocks that changed, and tells how far it is.
func ExampleContainer_Put() {
	service, end := exampleService()
	defer end()
	ctx := context.Background()
	c := must(client.SignIn(ctx, service, "alice:admin", "secret", client.Options{}))
	box := c.Container("backup")
	check(box.Create(ctx))

	disk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	for i := range disk { // so that no two blocks are the same
		disk[i] += byte(i / blockSize)
	}
	first := must(box.Put(ctx, "disk.img", bytes.NewReader(disk), int64(len(disk)), client.PutOptions{}))
	fmt.Printf("sent %d of %d blocks\n", first.Sent, first.Blocks)

	disk[30000]++
	again := must(box.Put(ctx, "disk.img", bytes.NewReader(disk), int64(len(disk)), client.PutOptions{
		IfHash: first.Hash, // unless somebody else changed it
		Transfer: client.Transfer{Progress: func(done, total, moved int64) {
			fmt.Printf("%d of %d bytes in place, %d moved\n", done, total, moved)
		}},
	}))
	fmt.Printf("sent %d of %d blocks\n", again.Sent, again.Blocks)
	// Output:
	// sent 16 of 16 blocks
	// 65536 of 65536 bytes in place, 4096 moved
	// sent 1 of 16 blocks
}

// A download into a file keeps the blocks that are right already; broken off and started again it goes on.
func ExampleContainer_Get() {
	service, end := exampleService()
	defer end()
	ctx := context.Background()
	c := must(client.SignIn(ctx, service, "alice:admin", "secret", client.Options{}))
	box := c.Container("backup")
	check(box.Create(ctx))
	data := []byte(strings.Repeat("a", blockSize) + strings.Repeat("b", blockSize) + "c")
	must(box.Put(ctx, "file", bytes.NewReader(data), int64(len(data)), client.PutOptions{}))

	dir := must(os.MkdirTemp("", "example-"))
	defer func() { check(os.RemoveAll(dir)) }()
	f := must(os.Create(filepath.Join(dir, "file")))
	defer func() { check(f.Close()) }()
	must(f.Write(data[:blockSize])) // what an earlier attempt brought

	r := must(box.Get(ctx, "file", 0, f, blockSize, client.Transfer{}))
	fmt.Printf("fetched %d of %d bytes\n", r.Moved, r.Bytes)
	// Output: fetched 4097 of 8193 bytes
}

// Every change makes a version, and each can be read or brought back.
func ExampleContainer_Versions() {
	service, end := exampleService()
	defer end()
	ctx := context.Background()
	c := must(client.SignIn(ctx, service, "alice:admin", "secret", client.Options{}))
	box := c.Container("notes")
	check(box.Create(ctx))
	for _, text := range []string{"first", "second"} {
		must(box.Put(ctx, "note", strings.NewReader(text), int64(len(text)), client.PutOptions{}))
	}
	check(box.Remove(ctx, "note", false))

	versions := must(box.Versions(ctx, "note"))
	check(box.Restore(ctx, "note", versions[0].ID))
	body, _, err := box.Open(ctx, "note", 0)
	check(err)
	defer func() { check(body.Close()) }()
	fmt.Printf("%d versions; restored: %s\n", len(versions), must(io.ReadAll(body)))
	// Output: 2 versions; restored: first
}

// A folder is shared with another account, for all that is in it.
func ExampleContainer_Share() {
	service, end := exampleService()
	defer end()
	ctx := context.Background()
	alice := must(client.SignIn(ctx, service, "alice:admin", "secret", client.Options{}))
	box := alice.Container("work")
	check(box.Create(ctx))
	check(box.MakeFolder(ctx, "plans"))
	must(box.Put(ctx, "plans/a", strings.NewReader("plan a"), 6, client.PutOptions{}))
	check(box.Share(ctx, "plans", []string{"bob"}, nil))

	bob := must(client.SignIn(ctx, service, "bob:admin", "secret", client.Options{}))
	for _, account := range must(bob.SharingAccounts(ctx)) {
		for e, err := range bob.Of(account).Container("work").List(ctx, client.ListOptions{}) {
			check(err)
			fmt.Println(account, e.Name, e.AllowedTo)
		}
	}
	// Output:
	// alice plans read
	// alice plans/a read
}

// A container is followed: each answer tells where the next begins, and waits for something to come.
func ExampleContainer_Changes() {
	service, end := exampleService()
	defer end()
	ctx := context.Background()
	c := must(client.SignIn(ctx, service, "alice:admin", "secret", client.Options{}))
	box := c.Container("inbox")
	check(box.Create(ctx))
	point := must(box.Now(ctx))

	must(box.Put(ctx, "letter", strings.NewReader("Dear"), 4, client.PutOptions{}))
	list := must(box.Changes(ctx, point, client.ChangesOptions{Details: true}))
	for _, change := range list.Changes {
		fmt.Println(change.Name, change.Bytes, change.ModifiedBy)
	}
	point = list.Next // for the next question
	_ = point
	// Output: letter 4 alice:admin
}
