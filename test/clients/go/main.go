// Command clients uses Pithos through the AWS SDK for Go v2, minio-go or gophercloud, each with default settings.
// Usage: clients aws|hosts|minio|gophercloud; "hosts" is the AWS SDK with bucket names in the host, below the domain s3.example.test. Environment: BUCKET; ENDPOINT and the usual AWS variables
// or, for gophercloud, the usual ones of OpenStack.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"time"
)

// bucket is what the steps below need of a client.
type bucket interface {
	create(ctx context.Context) error
	put(ctx context.Context, key string, body []byte) error
	get(ctx context.Context, key string) ([]byte, error)
	part(ctx context.Context, key string, from, to int64) ([]byte, error) // bytes from to to, inclusive
	large(ctx context.Context, key string, body []byte) error             // by multipart upload
	list(ctx context.Context, prefix string) ([]string, error)            // in pages of two
	folders(ctx context.Context, prefix string) ([]string, error)
	copy(ctx context.Context, from, to string) error
	once(ctx context.Context, key string, body []byte) (taken bool, err error) // If-None-Match: *
	link(ctx context.Context, key string) (string, error)
	remove(ctx context.Context, keys []string) error
	drop(ctx context.Context) error
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: clients aws|hosts|minio|gophercloud")
	}
	var b bucket
	var err error
	switch args[0] {
	case "aws":
		b, err = newAWS(ctx, os.Getenv("ENDPOINT"), os.Getenv("BUCKET"))
	case "hosts":
		b, err = newHosts(ctx, os.Getenv("ENDPOINT"), os.Getenv("BUCKET"))
	case "minio":
		b, err = newMinio(os.Getenv("ENDPOINT"), os.Getenv("BUCKET"))
	case "gophercloud":
		b, err = newGophercloud(ctx, os.Getenv("BUCKET"))
	default:
		return fmt.Errorf("no client %q", args[0])
	}
	if err != nil {
		return err
	}
	steps := []struct {
		name string
		do   func(context.Context, bucket) error
	}{{"objects", objects}, {"names", names}, {"multipart", multipart}, {"conditions", conditions}, {"delete", clean}}
	for _, step := range steps {
		if err := step.do(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok", step.name)
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // never fails
	return b
}

// holds wants the object to have these bytes.
func holds(ctx context.Context, b bucket, key string, want []byte) error {
	got, err := b.get(ctx, key)
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%q: %d bytes came back other than the %d that were sent", key, len(got), len(want))
	}
	return nil
}

func objects(ctx context.Context, b bucket) error {
	if err := b.create(ctx); err != nil {
		return err
	}
	for _, size := range []int{0, 1, 70_000, 6 << 20} {
		key, body := fmt.Sprint("size-", size), random(size)
		if err := b.put(ctx, key, body); err != nil {
			return err
		}
		if err := holds(ctx, b, key, body); err != nil {
			return err
		}
		if size < 100 {
			continue
		}
		got, err := b.part(ctx, key, 10, 99)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, body[10:100]) {
			return fmt.Errorf("range of %q differs", key)
		}
	}
	if err := b.copy(ctx, "size-70000", "copied here+é"); err != nil {
		return err
	}
	want, err := b.get(ctx, "size-70000")
	if err != nil {
		return err
	}
	return holds(ctx, b, "copied here+é", want)
}

func names(ctx context.Context, b bucket) error {
	keys := []string{"names/a", "names/a/b", "names/dir/space plus+%25&?=.txt", "names/dir/é ü ☃.txt", "names/~tilde"}
	for _, key := range keys {
		if err := b.put(ctx, key, []byte(key)); err != nil {
			return err
		}
		if err := holds(ctx, b, key, []byte(key)); err != nil {
			return err
		}
	}
	got, err := b.list(ctx, "names/")
	if err != nil {
		return err
	}
	if !slices.Equal(got, keys) {
		return fmt.Errorf("listed %q, want %q", got, keys)
	}
	got, err = b.folders(ctx, "names/")
	if err != nil {
		return err
	}
	if want := []string{"names/a/", "names/dir/"}; !slices.Equal(got, want) {
		return fmt.Errorf("folders %q, want %q", got, want)
	}
	link, err := b.link(ctx, keys[2])
	if err != nil {
		return err
	}
	return opens(ctx, link, keys[2])
}

func multipart(ctx context.Context, b bucket) error {
	body := random(18 << 20)
	if err := b.large(ctx, "large", body); err != nil {
		return err
	}
	return holds(ctx, b, "large", body)
}

func conditions(ctx context.Context, b bucket) error {
	if taken, err := b.once(ctx, "once", []byte("first")); taken || err != nil {
		return fmt.Errorf("free name: taken %v, %w", taken, err)
	}
	if taken, err := b.once(ctx, "once", []byte("second")); !taken || err != nil {
		return fmt.Errorf("taken name: taken %v, %w", taken, err)
	}
	return holds(ctx, b, "once", []byte("first"))
}

func clean(ctx context.Context, b bucket) error {
	keys, err := b.list(ctx, "")
	if err != nil {
		return err
	}
	if err := b.remove(ctx, keys); err != nil {
		return err
	}
	if keys, err = b.list(ctx, ""); err != nil || len(keys) > 0 {
		return fmt.Errorf("after deleting all: %q, %w", keys, err)
	}
	return b.drop(ctx)
}
