package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pithos/internal/door/admin"
	"pithos/internal/door/identity"
	"pithos/internal/wholefile"
)

// Files of the server in the data directory. All have mode 0600 and are replaced as a whole. The rest of the directory is the engine's.
const (
	CredentialsFile = "credentials.json" // the first administrator's key
	EndpointsFile   = "endpoints.json"   // where the running server listens; gone when it has stopped in order
)

// Credentials are the key of the administrator that the first start made.
type Credentials struct {
	Account   string    `json:"account"`
	User      string    `json:"user"`
	AccessKey string    `json:"access_key"`
	Secret    string    `json:"secret_key"`
	Created   time.Time `json:"created"`
	// Pending says that the keystore may not have them yet: the file is written first, so that a crash in between cannot lose the
	// only copy of the secret. The next start finishes it.
	Pending bool `json:"pending,omitempty"`
}

// Endpoints tell where a running server listens.
type Endpoints struct {
	PID   int    `json:"pid"`
	S3    string `json:"s3"`    // URL
	Admin string `json:"admin"` // URL

	OpenStack string `json:"openstack,omitempty"` // URL
}

// ReadCredentials reads what the first start wrote. errors.Is(err, fs.ErrNotExist) when there is none.
func ReadCredentials(data string) (Credentials, error) {
	var c Credentials
	return c, readJSON(filepath.Join(data, CredentialsFile), &c)
}

// ReadEndpoints reads where the server of a data directory listens. The file may be left over from a server that was killed.
func ReadEndpoints(data string) (Endpoints, error) {
	var e Endpoints
	return e, readJSON(filepath.Join(data, EndpointsFile), &e)
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		// The decoder's error may quote the text, which may be a secret.
		return fmt.Errorf("%s is damaged: it is not the JSON that pithos wrote", path)
	}
	return nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.Write(path, append(text, '\n'))
}

// TokenKeyFile holds the key that seals the tokens of the OpenStack API. Gateways that share users share it.
const TokenKeyFile = "openstack-token.key"

// tokenKey reads the key of the OpenStack tokens, and makes it when there is none.
func tokenKey(data string) ([]byte, error) {
	path := filepath.Join(data, TokenKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, identity.KeyBytes)
		_, _ = rand.Read(raw) // crypto/rand.Read never fails (Go 1.24)
		return raw, wholefile.Write(path, []byte(hex.EncodeToString(raw)+"\n"))
	}
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != identity.KeyBytes {
		return nil, fmt.Errorf("%s is damaged: it must hold %d hexadecimal digits; remove it to have a new one made, which ends all OpenStack tokens", path, 2*identity.KeyBytes)
	}
	return raw, nil
}

// newToken draws the token of this run and writes it for the command line to read.
func newToken(data string) (string, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // crypto/rand.Read never fails (Go 1.24)
	token := hex.EncodeToString(raw)
	return token, wholefile.Write(filepath.Join(data, admin.TokenFile), []byte(token+"\n"))
}

// removeEndpoints is the end of an orderly stop.
func removeEndpoints(data string) error {
	var failed error
	for _, name := range []string{EndpointsFile, admin.TokenFile} {
		if err := os.Remove(filepath.Join(data, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
