package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// awsBucket is a bucket through the AWS SDK for Go v2.
type awsBucket struct {
	s3   *s3.Client
	name *string
}

func newAWS(ctx context.Context, endpoint, name string) (bucket, error) {
	settings, err := config.LoadDefaultConfig(ctx, config.WithBaseEndpoint(endpoint))
	if err != nil {
		return nil, err
	}
	return awsBucket{s3.NewFromConfig(settings), aws.String(name)}, nil
}

// newHosts is a client that finds the end-point under a domain, where no name server knows it.
func newHosts(ctx context.Context, endpoint, name string) (bucket, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err != nil || host != name+".s3.example.test" {
			return nil, fmt.Errorf("the client connects to %s, not to the bucket's host", addr)
		}
		return dialer.DialContext(ctx, network, at.Host)
	}
	http.DefaultTransport = transport // presigned links go the same way
	settings, err := config.LoadDefaultConfig(ctx, config.WithBaseEndpoint("http://s3.example.test:"+at.Port()),
		config.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		return nil, err
	}
	return awsBucket{s3.NewFromConfig(settings), aws.String(name)}, nil
}

func (b awsBucket) create(ctx context.Context) error {
	_, err := b.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: b.name})
	return err
}

func (b awsBucket) put(ctx context.Context, key string, body []byte) error {
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: b.name, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func (b awsBucket) get(ctx context.Context, key string) ([]byte, error) {
	return b.read(ctx, &s3.GetObjectInput{Bucket: b.name, Key: &key})
}

func (b awsBucket) part(ctx context.Context, key string, from, to int64) ([]byte, error) {
	return b.read(ctx, &s3.GetObjectInput{Bucket: b.name, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to))})
}

func (b awsBucket) read(ctx context.Context, input *s3.GetObjectInput) ([]byte, error) {
	answer, err := b.s3.GetObject(ctx, input)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	return body, errors.Join(err, answer.Body.Close())
}

func (b awsBucket) large(ctx context.Context, key string, body []byte) error {
	// A reader that cannot seek, so that the manager does not know the size.
	answer, err := manager.NewUploader(b.s3).Upload(ctx, &s3.PutObjectInput{Bucket: b.name, Key: &key, Body: io.MultiReader(bytes.NewReader(body))})
	if err == nil && answer.UploadID == "" {
		return errors.New("this was no multipart upload")
	}
	return err
}

func (b awsBucket) list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(b.s3, &s3.ListObjectsV2Input{Bucket: b.name, Prefix: &prefix, MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys, nil
}

func (b awsBucket) folders(ctx context.Context, prefix string) ([]string, error) {
	page, err := b.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b.name, Prefix: &prefix, Delimiter: aws.String("/")})
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, each := range page.CommonPrefixes {
		folders = append(folders, *each.Prefix)
	}
	return folders, nil
}

func (b awsBucket) copy(ctx context.Context, from, to string) error {
	_, err := b.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b.name, Key: &to, CopySource: aws.String(*b.name + "/" + from)})
	return err
}

func (b awsBucket) once(ctx context.Context, key string, body []byte) (bool, error) {
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: b.name, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*")})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "PreconditionFailed" {
		return true, nil
	}
	return false, err
}

func (b awsBucket) link(ctx context.Context, key string) (string, error) {
	signed, err := s3.NewPresignClient(b.s3).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: b.name, Key: &key})
	if err != nil {
		return "", err
	}
	return signed.URL, nil
}

func (b awsBucket) remove(ctx context.Context, keys []string) error {
	var doomed []types.ObjectIdentifier
	for _, key := range keys[1:] {
		doomed = append(doomed, types.ObjectIdentifier{Key: &key})
	}
	answer, err := b.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b.name, Delete: &types.Delete{Objects: doomed}})
	if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%d of %d were not deleted", len(answer.Errors), len(doomed))
	}
	_, err = b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b.name, Key: &keys[0]})
	return err
}

func (b awsBucket) drop(ctx context.Context) error {
	_, err := b.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b.name})
	return err
}

// opens wants a link to show the text to somebody without keys.
func opens(ctx context.Context, link, text string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, link, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || string(body) != text {
		return fmt.Errorf("link: status %s, body %.200q", answer.Status, body)
	}
	return nil
}
