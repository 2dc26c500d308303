package s3

import (
	"context"
	"crypto/md5" // of keys, as part of the protocol
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/seal"
	"pithos/internal/store/bucket"
)

// The headers of server-side encryption (API Reference, PutObject). Those of a client's key come in two sets: for the object, and for a copy source.
const (
	sseHeader          = "X-Amz-Server-Side-Encryption"
	sseKeyIDHeader     = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	sseContextHeader   = "X-Amz-Server-Side-Encryption-Context"
	sseBucketKeyHeader = "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"
	sseCustomer        = "X-Amz-Server-Side-Encryption-Customer-"
	sseSourceCustomer  = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
	sseAlgorithm       = "Algorithm"
	sseKey             = "Key"
	sseKeyMD5          = "Key-Md5"

	aes256   = "AES256"
	awsKMS   = "aws:kms"
	awsDSSE  = "aws:kms:dsse"
	sseCName = "SSE-C"

	contextMax = 8 << 10 // bytes of an encryption context
)

// encryption reads how a new object is to be encrypted. What is wrong with it is told only to who may write the object: a bucket policy may speak of these
// headers, whatever they say.
func (c *call) encryption(ctx context.Context) (backend.Encryption, error) {
	e, err := c.readEncryption()
	if err != nil {
		if denied := c.door.b.MayPut(ctx, c.caller, c.ref(), c.name); denied != nil {
			return e, denied
		}
	}
	return e, err
}

func (c *call) readEncryption() (backend.Encryption, error) {
	var e backend.Encryption
	var err error
	if e.Customer, err = c.customerKey(sseCustomer); err != nil {
		return e, err
	}
	method := c.h(sseHeader)
	switch {
	case e.Customer != nil && c.has(sseHeader):
		return e, badArgument("x-amz-server-side-encryption", method,
			"Server Side Encryption with Customer provided key is incompatible with the encryption method specified")
	case e.Customer != nil:
		e.Mode = seal.Customer
	case method == aes256:
		e.Mode = seal.Service
	case method == awsKMS:
		e.Mode = seal.KMS
	case method == awsDSSE:
		return e, fail(NotImplemented, "Dual-layer encryption (aws:kms:dsse) is not implemented.").with("Header", "x-amz-server-side-encryption")
	case c.has(sseHeader):
		return e, badArgument("x-amz-server-side-encryption", method, "The encryption method specified is not supported")
	}
	if c.has(sseBucketKeyHeader) {
		switch text := c.h(sseBucketKeyHeader); strings.ToLower(text) {
		case "true", "false":
			on := strings.EqualFold(text, "true")
			e.BucketKey = &on
		default:
			return e, badArgument("x-amz-server-side-encryption-bucket-key-enabled", text, "The value must be true or false")
		}
	}
	if e.Mode != seal.KMS {
		for _, header := range [...]string{sseKeyIDHeader, sseContextHeader} {
			if c.has(header) {
				return e, badArgument(strings.ToLower(header), c.h(header), "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
			}
		}
		return e, nil
	}
	e.KeyID = c.h(sseKeyIDHeader)
	e.Context, err = c.encryptionContext()
	return e, err
}

// encryptionContext reads the encryption context: base64 of a JSON object of texts. It is kept in one form, whatever the order of its names.
func (c *call) encryptionContext() ([]byte, error) {
	text := c.h(sseContextHeader)
	if text == "" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	var pairs map[string]string
	if err == nil && len(raw) <= contextMax {
		err = json.Unmarshal(raw, &pairs)
	}
	if err != nil || len(raw) > contextMax || pairs == nil {
		return nil, badArgument("x-amz-server-side-encryption-context", text, "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map")
	}
	return json.Marshal(pairs)
}

// customerKey reads a client's key from the headers that begin with prefix; nil when there is none. It never shows in an error.
func (c *call) customerKey(prefix string) (*seal.Secret, error) {
	algorithm, encoded, sum := c.h(prefix+sseAlgorithm), c.h(prefix+sseKey), c.h(prefix+sseKeyMD5)
	if algorithm == "" && encoded == "" && sum == "" {
		return nil, nil //nolint:nilnil // no key
	}
	lower := strings.ToLower(prefix)
	bad := func(header, msg string) error {
		return fail(InvalidArgument, msg).with("ArgumentName", lower+strings.ToLower(header))
	}
	switch {
	case c.origin.Scheme != "https" && !c.door.o.KeysOverHTTP:
		return nil, fail(InvalidRequest, "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	case algorithm == "":
		return nil, bad(sseAlgorithm, "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
	case algorithm != aes256:
		return nil, fail(InvalidEncryptionAlgorithm, "").with("ArgumentName", lower+"algorithm").with("ArgumentValue", clip(algorithm))
	case encoded == "":
		return nil, bad(sseKey, "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.")
	case sum == "":
		return nil, bad(sseKeyMD5, "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != seal.KeySize {
		return nil, bad(sseKey, "The secret key was invalid for the specified algorithm.")
	}
	if sum != keyMD5(raw) {
		return nil, bad(sseKeyMD5, "The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	key := seal.Secret(raw)
	return &key, nil
}

func keyMD5(key []byte) string {
	sum := md5.Sum(key)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// unseal gets the key of a version that is read. A HEAD needs no key of the service or of a key service: nothing is decrypted.
func (c *call) unseal(ctx context.Context, o *backend.Object) error {
	if c.has(sseHeader) {
		return badArgument("x-amz-server-side-encryption", c.h(sseHeader), "x-amz-server-side-encryption header is not supported for this operation.")
	}
	key, err := c.customerKey(sseCustomer)
	if err != nil || len(o.Encryption) == 0 && key == nil {
		return err
	}
	in, err := seal.Describe(o.Encryption)
	if err != nil {
		return err
	}
	if key == nil && in.Mode != seal.Customer && c.r.Method == http.MethodHead {
		return nil
	}
	return o.Unseal(ctx, key)
}

// setEncryption sets the headers that tell how a version is encrypted. Those of a client's key are repeated from the request.
func (c *call) setEncryption(record []byte) error {
	if len(record) == 0 {
		return nil
	}
	in, err := seal.Describe(record)
	if err != nil {
		return err
	}
	switch in.Mode {
	case seal.Plain:
	case seal.Customer:
		if c.has(sseCustomer + sseKeyMD5) {
			c.set(sseCustomer+sseAlgorithm, aes256)
			c.set(sseCustomer+sseKeyMD5, c.h(sseCustomer+sseKeyMD5))
		}
	case seal.Service:
		c.set(sseHeader, aes256)
	case seal.KMS:
		c.set(sseHeader, awsKMS)
		c.set(sseKeyIDHeader, in.KeyID)
		if in.BucketKey {
			c.set(sseBucketKeyHeader, "true")
		}
	}
	return nil
}

// encryptionRule is a rule of a default encryption.
type encryptionRule struct {
	Default *struct {
		Algorithm string `xml:"SSEAlgorithm"`
		KeyID     string `xml:"KMSMasterKeyID"`
	} `xml:"ApplyServerSideEncryptionByDefault"`
	BucketKey string `xml:"BucketKeyEnabled"`
	Blocked   *struct {
		Types []string `xml:"EncryptionType"`
	} `xml:"BlockedEncryptionTypes"`
}

// encryptionDocument is the body of PutBucketEncryption.
type encryptionDocument struct {
	XMLName xml.Name         `xml:"ServerSideEncryptionConfiguration"`
	Rules   []encryptionRule `xml:"Rule"`
}

// config reads the rule. Errors: MalformedXML, InvalidArgument, NotImplemented.
func (r *encryptionRule) config() (*bucket.Encryption, error) {
	e := new(bucket.Encryption)
	switch r.BucketKey {
	case "true":
		e.BucketKey = true
	case "", "false":
	default:
		return nil, fail(MalformedXML, "")
	}
	if r.Blocked != nil {
		for _, t := range r.Blocked.Types {
			switch t {
			case sseCName:
				e.NoCustomerKeys = true
			case "NONE":
			default:
				return nil, fail(MalformedXML, "")
			}
		}
	}
	if r.Default == nil {
		if r.Blocked == nil {
			return nil, fail(MalformedXML, "")
		}
		return e, nil
	}
	switch r.Default.Algorithm {
	case aes256:
		if r.Default.KeyID != "" {
			return nil, fail(InvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
		}
	case awsKMS:
		e.KMS, e.KeyID = true, r.Default.KeyID
	case awsDSSE:
		return nil, fail(NotImplemented, "Dual-layer encryption (aws:kms:dsse) is not implemented.")
	default:
		return nil, fail(MalformedXML, "")
	}
	return e, nil
}

// getBucketEncryption serves GetBucketEncryption. A bucket without a setting has none: its objects are kept as they come.
func getBucketEncryption(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	e := container.Config.Encryption
	if e == nil {
		return nil, fail(ServerSideEncryptionNotFound, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("ServerSideEncryptionConfiguration")
	x.open("Rule")
	x.open("ApplyServerSideEncryptionByDefault")
	if e.KMS {
		x.text("SSEAlgorithm", awsKMS)
		x.textIf("KMSMasterKeyID", e.KeyID)
	} else {
		x.text("SSEAlgorithm", aes256)
	}
	x.close("ApplyServerSideEncryptionByDefault")
	x.bool("BucketKeyEnabled", e.BucketKey)
	if e.NoCustomerKeys {
		x.open("BlockedEncryptionTypes")
		x.text("EncryptionType", sseCName)
		x.close("BlockedEncryptionTypes")
	}
	x.close("Rule")
	return x.reply(c, "ServerSideEncryptionConfiguration"), nil
}

// putBucketEncryption serves PutBucketEncryption.
func putBucketEncryption(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc encryptionDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	if len(doc.Rules) != 1 {
		return nil, fail(MalformedXML, "")
	}
	want, err := doc.Rules[0].config()
	if err != nil {
		return nil, err
	}
	return c.putEncryption(ctx, want, http.StatusOK)
}

// deleteBucketEncryption serves DeleteBucketEncryption.
func deleteBucketEncryption(ctx context.Context, c *call) (*reply, error) {
	return c.putEncryption(ctx, nil, http.StatusNoContent)
}

func (c *call) putEncryption(ctx context.Context, want *bucket.Encryption, status int) (*reply, error) {
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.Encryption = want
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(status), nil
}
