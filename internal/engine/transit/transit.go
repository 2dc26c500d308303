// Package transit is a key service on the HTTP API of HashiCorp Vault's transit
// secrets engine, which OpenBao has too.
//
// Used are (Vault API documentation, "Transit secrets engine"):
//
//	POST /v1/MOUNT/datakey/plaintext/KEY   a new data key, plain and wrapped
//	POST /v1/MOUNT/decrypt/KEY             a wrapped data key, plain
//
// The token is read from its file for each call, so that an agent may renew it. It stands in the header X-Vault-Token and nowhere else. Keys
// must be of a type that can encrypt (the default, aes256-gcm96, is). The encryption context is not sent: package seal binds the object's key
// to it.
package transit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/seal"
)

// Options say where the key service is. Address, Token and Client must be set.
type Options struct {
	Address   string                 // URL of the server, "https://vault:8200"
	Mount     string                 // path of the secrets engine; "transit"
	Namespace string                 // "": none
	Token     func() (string, error) // the token to use now
	Client    *http.Client           // with a time limit
}

// Service implements seal.KeyService.
type Service struct{ o Options }

// New makes a key service.
func New(o Options) *Service {
	if o.Mount == "" {
		o.Mount = "transit"
	}
	o.Address, o.Mount = strings.TrimRight(o.Address, "/"), strings.Trim(o.Mount, "/")
	return &Service{o: o}
}

// answerMax bounds an answer of the key service, bytes.
const answerMax = 1 << 20

// answer is an answer of the key service.
type answer struct {
	Data struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
	Errors []string `json:"errors"`
}

// Generate implements seal.KeyService.
func (s *Service) Generate(ctx context.Context, name string, _ []byte) (seal.Secret, []byte, error) {
	a, err := s.call(ctx, "datakey/plaintext", name, map[string]any{"bits": 8 * seal.KeySize})
	if err != nil {
		return seal.Secret{}, nil, err
	}
	key, err := secret(a.Data.Plaintext)
	if err == nil && a.Data.Ciphertext == "" {
		err = errAnswer()
	}
	return key, []byte(a.Data.Ciphertext), err
}

// Unwrap implements seal.KeyService.
func (s *Service) Unwrap(ctx context.Context, name string, blob, _ []byte) (seal.Secret, error) {
	a, err := s.call(ctx, "decrypt", name, map[string]any{"ciphertext": string(blob)})
	if err != nil {
		return seal.Secret{}, err
	}
	return secret(a.Data.Plaintext)
}

func secret(text string) (seal.Secret, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != seal.KeySize {
		return seal.Secret{}, errAnswer()
	}
	return seal.Secret(raw), nil
}

func errAnswer() error {
	return errs.E("transit.call", errs.Busy, errs.SealKey, "").Because("", "the key service gave an answer that cannot be used")
}

// call asks the key service. Its errors carry what the service says of the failure; no request or answer with a key is quoted.
func (s *Service) call(ctx context.Context, operation, name string, in any) (*answer, error) {
	const op = "transit.call"
	if name == "" || strings.ContainsAny(name, "/?#%\\") || strings.HasPrefix(name, ".") {
		return nil, seal.NoKey(name) // no name of a key there; it must not become another path
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	target := s.o.Address + "/v1/" + s.o.Mount + "/" + operation + "/" + url.PathEscape(name)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token, err := s.o.Token()
	if err != nil {
		return nil, errs.E(op, errs.Busy, errs.SealKey, name).Because("", "the key service cannot be asked").With(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Vault-Token", token)
	r.Header.Set("X-Vault-Request", "true") // the API demands it where agents stand in between
	if s.o.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", s.o.Namespace)
	}
	res, err := s.o.Client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errs.E(op, errs.Busy, errs.SealKey, name).Because("", "the key service does not answer").With(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerMax))
	if err != nil {
		return nil, errs.E(op, errs.Busy, errs.SealKey, name).Because("", "the key service does not answer").With(err)
	}
	a := new(answer)
	parsed := json.Unmarshal(raw, a)
	if res.StatusCode == http.StatusOK && parsed == nil {
		return a, nil
	}
	if parsed != nil {
		return nil, errAnswer()
	}
	return nil, failure(op, name, res.StatusCode, operation, a.Errors)
}

// failure gives an answer of the key service its kind. Vault says 400 both for a key that does not exist and for a ciphertext that does not open; the
// words differ.
func failure(op, name string, status int, operation string, says []string) error {
	cause := errors.New("the key service says: " + strings.Join(says, "; "))
	text := strings.ToLower(cause.Error())
	switch {
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return errs.E(op, errs.Denied, errs.SealKey, name).With(cause)
	case status == http.StatusNotFound, status == http.StatusBadRequest && strings.Contains(text, "not found"):
		return seal.NoKey(name).With(cause)
	case status == http.StatusBadRequest && operation == "decrypt":
		return errs.E(op, errs.Corrupt, errs.SealKey, name).With(cause)
	case status == http.StatusBadRequest:
		return errs.E(op, errs.Invalid, errs.SealKey, name).Because("", "the key service cannot use the key for this").With(cause)
	}
	return errs.E(op, errs.Busy, errs.SealKey, name).Because("", "the key service cannot answer now").With(cause)
}
