package keystone

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"pithos/internal/errs"
)

// answerMax bounds an answer of the service.
const answerMax = 1 << 20

// tokenDoc is what the service tells of a token.
type tokenDoc struct {
	Expires time.Time `json:"expires_at"`
	User    struct {
		ID     string    `json:"id"`
		Name   string    `json:"name"`
		Domain domainDoc `json:"domain"`
	} `json:"user"`
	Project *struct {
		ID     string    `json:"id"`
		Name   string    `json:"name"`
		Domain domainDoc `json:"domain"`
	} `json:"project"`
	Roles []struct {
		Name string `json:"name"`
	} `json:"roles"`
}

type domainDoc struct {
	ID string `json:"id"`
}

// ownToken is the service user's.
type ownToken struct {
	mu      sync.Mutex
	token   string
	expires time.Time
}

// ownMargin is how long before its end the own token is renewed.
const ownMargin = time.Minute

// ask asks the service for a token. Of an own token that is not taken any more a fresh one is got, once.
func (s *Service) ask(ctx context.Context, token string) (known, error) {
	const op = "keystone.ask"
	for try := range 2 {
		own, err := s.ownToken(ctx, try > 0)
		if err != nil {
			return known{}, err
		}
		status, doc, err := s.send(ctx, http.MethodGet, nil, map[string]string{"X-Auth-Token": own, "X-Subject-Token": token})
		if err != nil {
			return known{}, err
		}
		switch status {
		case http.StatusOK:
			return s.accept(ctx, doc)
		case http.StatusNotFound:
			return known{bad: true, until: s.o.Clock.Now().Add(s.o.Life)}, nil
		case http.StatusUnauthorized:
			continue
		}
		return known{}, unusable(op, status)
	}
	return known{}, errs.E(op, errs.Busy, errs.Store, "").With(fmt.Errorf("the service does not let its user check tokens: give it a role that may"))
}

// accept makes of an answer what is remembered.
func (s *Service) accept(ctx context.Context, t *tokenDoc) (known, error) {
	now := s.o.Clock.Now()
	if t.User.ID == "" || t.Project != nil && t.Project.ID == "" {
		return known{}, unusable("keystone.accept", http.StatusOK)
	}
	k := known{who: s.principal(t), until: now.Add(s.o.Life)}
	if t.Expires.Before(k.until) {
		k.until = t.Expires
	}
	if !t.Expires.After(now) {
		return known{bad: true, until: now.Add(s.o.Life)}, nil
	}
	err := s.enrol(ctx, &k.who, t)
	if errs.Is(err, errs.Unauthenticated) {
		return known{bad: true, until: k.until}, nil
	}
	return k, err
}

// ownToken is the service user's token; fresh asks for a new one.
func (s *Service) ownToken(ctx context.Context, fresh bool) (string, error) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	now := s.o.Clock.Now()
	if !fresh && s.own.token != "" && now.Before(s.own.expires.Add(-ownMargin)) {
		return s.own.token, nil
	}
	const op = "keystone.signIn"
	password, err := s.o.Password()
	if err != nil {
		return "", errs.E(op, errs.Busy, errs.Store, "").With(err)
	}
	type object = map[string]any
	body := object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{
			"name": s.o.User, "domain": object{"name": s.o.UserDomain}, "password": password,
		}}},
		"scope": object{"project": object{"name": s.o.Project, "domain": object{"name": s.o.ProjectDomain}}},
	}}
	text, err := json.Marshal(body)
	if err != nil {
		return "", errs.E(op, errs.Internal, errs.Store, "").With(err)
	}
	var token string
	status, doc, err := s.sendFor(ctx, http.MethodPost, text, nil, &token)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusUnauthorized:
		return "", errs.E(op, errs.Busy, errs.Store, "").With(fmt.Errorf("the service refuses its user %q: name, password, project or domain is wrong", s.o.User))
	case status != http.StatusCreated || token == "":
		return "", unusable(op, status)
	}
	s.own.token, s.own.expires = token, doc.Expires
	return token, nil
}

func unusable(op string, status int) error {
	return errs.E(op, errs.Busy, errs.Store, "").With(fmt.Errorf("the service gave an answer that cannot be used, of status %d", status))
}

func (s *Service) send(ctx context.Context, method string, body []byte, header map[string]string) (int, *tokenDoc, error) {
	return s.sendFor(ctx, method, body, header, nil)
}

// sendFor sends a request to /auth/tokens, and puts the header with a new token into subject. Its errors quote neither tokens nor passwords.
func (s *Service) sendFor(ctx context.Context, method string, body []byte, header map[string]string, subject *string) (int, *tokenDoc, error) {
	const op = "keystone.send"
	r, err := http.NewRequestWithContext(ctx, method, s.o.URL+"/auth/tokens?nocatalog", bytes.NewReader(body))
	if err != nil {
		return 0, nil, errs.E(op, errs.Internal, errs.Store, "").With(err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := s.o.Client.Do(r)
	if err != nil {
		return 0, nil, errs.E(op, errs.Busy, errs.Store, "").With(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerMax))
	if err != nil {
		return 0, nil, errs.E(op, errs.Busy, errs.Store, "").With(err)
	}
	if subject != nil {
		*subject = res.Header.Get("X-Subject-Token")
	}
	if res.StatusCode >= http.StatusBadRequest {
		return res.StatusCode, nil, nil
	}
	var doc struct {
		Token *tokenDoc `json:"token"`
	}
	if json.Unmarshal(raw, &doc) != nil || doc.Token == nil {
		return 0, nil, unusable(op, res.StatusCode)
	}
	return res.StatusCode, doc.Token, nil
}
