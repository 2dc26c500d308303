package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// revokedDocument is the document of a user's container in naming.TokensAccount that lists the tokens which were ended early.
const revokedDocument = "revoked"

// RevokedMax bounds the tokens of one user that are listed. One more ends all that the user has.
const RevokedMax = 256

// revoked is that document.
type revoked struct {
	Before time.Time            `json:"before,omitzero"` // tokens issued until then have ended
	Tokens map[string]time.Time `json:"tokens,omitempty"`
}

// tokensOf names a user's container: a user's id may be longer than a container's name.
func tokensOf(id naming.UserID) naming.ContainerName {
	sum := sha256.Sum256([]byte(id))
	return naming.ContainerName(hex.EncodeToString(sum[:]))
}

// Revoked reports whether a user's token was ended before its time. The bucketstore keeps what was, so it holds on every gateway and after a restart.
func (b *Backend) Revoked(ctx context.Context, id naming.UserID, token string, issued time.Time) (bool, error) {
	r, _, err := b.revoked(ctx, id)
	if err != nil {
		return false, fail("backend.Revoked", err)
	}
	_, listed := r.Tokens[token]
	return listed || !issued.After(r.Before), nil
}

// revoked reads a user's document; an empty one when there is none.
func (b *Backend) revoked(ctx context.Context, id naming.UserID) (r revoked, kept bucket.Container, err error) {
	kept, err = b.stores.Buckets.Lookup(ctx, naming.TokensAccount, tokensOf(id))
	if errs.Is(err, errs.NotFound) {
		return r, bucket.Container{}, nil
	}
	if text := kept.Config.Documents[revokedDocument]; err == nil && len(text) > 0 {
		if err = json.Unmarshal(text, &r); err != nil {
			err = errs.E("", errs.Corrupt, errs.User, string(id)).With(err)
		}
	}
	return r, kept, err
}

// RevokeToken ends a user's token. until is when nobody would take it any more anyhow: it is forgotten then. Whoever calls has checked that the
// caller may.
func (b *Backend) RevokeToken(ctx context.Context, id naming.UserID, token string, until time.Time) error {
	var err error
	for range conflictsMax {
		if err = b.revoke(ctx, id, token, until); !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Exists) {
			break
		}
	}
	return fail("backend.RevokeToken", err)
}

func (b *Backend) revoke(ctx context.Context, id naming.UserID, token string, until time.Time) error {
	before, kept, err := b.revoked(ctx, id)
	if err != nil {
		return err
	}
	now := b.now()
	next := revoked{Before: before.Before, Tokens: map[string]time.Time{token: until}}
	for other, end := range before.Tokens {
		if end.After(now) {
			next.Tokens[other] = end
		}
	}
	if len(next.Tokens) > RevokedMax {
		next = revoked{Before: now}
	}
	text, err := json.Marshal(next)
	if err != nil {
		return errs.E("", errs.Internal, errs.User, string(id)).With(err)
	}
	cfg := bucket.Config{Documents: map[string][]byte{revokedDocument: text}}
	if kept.ID == (naming.ContainerID{}) {
		_, err = b.stores.Buckets.Create(ctx, bucket.Container{
			ID: naming.NewContainerID(), Account: naming.TokensAccount, Name: tokensOf(id), Region: b.opts.Region, Created: now, Config: cfg,
		})
		return err
	}
	kept.Config = cfg
	_, err = b.stores.Buckets.Update(ctx, kept)
	return err
}
