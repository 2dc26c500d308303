package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// minioBucket is a bucket through minio-go.
type minioBucket struct {
	s3   *minio.Client
	name string
}

func newMinio(endpoint, name string) (bucket, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(at.Host, &minio.Options{Creds: credentials.NewEnvAWS(), Secure: at.Scheme == "https"})
	if err != nil {
		return nil, err
	}
	return minioBucket{client, name}, nil
}

func (b minioBucket) create(ctx context.Context) error {
	if err := b.s3.MakeBucket(ctx, b.name, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	exists, err := b.s3.BucketExists(ctx, b.name)
	if err == nil && !exists {
		return fmt.Errorf("bucket %s is not there", b.name)
	}
	return err
}

func (b minioBucket) put(ctx context.Context, key string, body []byte) error {
	_, err := b.s3.PutObject(ctx, b.name, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{ContentType: "text/x-test"})
	return err
}

func (b minioBucket) get(ctx context.Context, key string) ([]byte, error) {
	return b.read(ctx, key, minio.GetObjectOptions{})
}

func (b minioBucket) part(ctx context.Context, key string, from, to int64) ([]byte, error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(from, to); err != nil {
		return nil, err
	}
	return b.read(ctx, key, o)
}

func (b minioBucket) read(ctx context.Context, key string, o minio.GetObjectOptions) ([]byte, error) {
	object, err := b.s3.GetObject(ctx, b.name, key, o)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(object)
}

func (b minioBucket) large(ctx context.Context, key string, body []byte) error {
	_, err := b.s3.PutObject(ctx, b.name, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{PartSize: 6 << 20})
	return err
}

func (b minioBucket) list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for object := range b.s3.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: 2}) {
		if object.Err != nil {
			return nil, object.Err
		}
		keys = append(keys, object.Key)
	}
	return keys, nil
}

func (b minioBucket) folders(ctx context.Context, prefix string) ([]string, error) {
	var folders []string
	for object := range b.s3.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix}) {
		if object.Err != nil {
			return nil, object.Err
		}
		if strings.HasSuffix(object.Key, "/") {
			folders = append(folders, object.Key)
		}
	}
	return folders, nil
}

func (b minioBucket) copy(ctx context.Context, from, to string) error {
	_, err := b.s3.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.name, Object: to}, minio.CopySrcOptions{Bucket: b.name, Object: from})
	return err
}

func (b minioBucket) once(ctx context.Context, key string, body []byte) (bool, error) {
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	_, err := b.s3.PutObject(ctx, b.name, key, bytes.NewReader(body), int64(len(body)), o)
	if minio.ToErrorResponse(err).Code == "PreconditionFailed" {
		return true, nil
	}
	return false, err
}

func (b minioBucket) link(ctx context.Context, key string) (string, error) {
	signed, err := b.s3.PresignedGetObject(ctx, b.name, key, time.Minute, nil)
	if err != nil {
		return "", err
	}
	return signed.String(), nil
}

func (b minioBucket) remove(ctx context.Context, keys []string) error {
	doomed := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys[1:] {
		doomed <- minio.ObjectInfo{Key: key}
	}
	close(doomed)
	for failed := range b.s3.RemoveObjects(ctx, b.name, doomed, minio.RemoveObjectsOptions{}) {
		return fmt.Errorf("%q was not deleted: %w", failed.ObjectName, failed.Err)
	}
	return b.s3.RemoveObject(ctx, b.name, keys[0], minio.RemoveObjectOptions{})
}

func (b minioBucket) drop(ctx context.Context) error { return b.s3.RemoveBucket(ctx, b.name) }
