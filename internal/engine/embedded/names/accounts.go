package names

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// change makes one change durable: make reads what it needs and writes into the batch; nobody else changes anything meanwhile.
func (s *Keys) change(ctx context.Context, op string, make func(b *pebble.Batch) error) error {
	if err := s.enter(ctx, op); err != nil {
		return err
	}
	defer s.gate.Leave()
	s.changing.Lock()
	defer s.changing.Unlock()
	b := s.db.NewBatch()
	if err := make(b); err != nil {
		_ = b.Close()
		return err
	}
	if err := s.log.Write(b); err != nil {
		return err
	}
	s.cache.Lock()
	defer s.cache.Unlock()
	s.cache.changes++
	clear(s.cache.identities)
	return nil
}

// put writes a record.
func put[S ~string](b *pebble.Batch, space byte, id S, record any) error {
	raw, err := encode(record)
	if err != nil {
		return err
	}
	return b.Set(rowKey(space, id), raw, nil)
}

// CreateAccount implements key.Writer.
func (s *Keys) CreateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	const op = "names.CreateAccount"
	a.Created, a.Revision = micro(a.Created), 1
	err := s.change(ctx, op, func(b *pebble.Batch) error {
		ok, err := s.exists(spaceAccount, string(a.ID))
		if err == nil && ok {
			err = errs.E(op, errs.Exists, errs.Account, string(a.ID))
		}
		if err != nil {
			return err
		}
		return s.writeAccount(op, b, key.Account{}, a)
	})
	if err != nil {
		return key.Account{}, err
	}
	return a, nil
}

// UpdateAccount implements key.Writer.
func (s *Keys) UpdateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	const op = "names.UpdateAccount"
	a.Created = micro(a.Created)
	err := s.change(ctx, op, func(b *pebble.Batch) error {
		var old key.Account
		if ok, err := read(s.db, spaceAccount, a.ID, &old); err != nil || !ok {
			return found(op, ok, err, errs.Account, string(a.ID))
		}
		if old.Revision != a.Revision {
			return errs.E(op, errs.Conflict, errs.Account, string(a.ID))
		}
		a.Revision++
		return s.writeAccount(op, b, old, a)
	})
	if err != nil {
		return key.Account{}, err
	}
	return a, nil
}

// writeAccount writes an account and what finds it, in place of old.
func (s *Keys) writeAccount(op string, b *pebble.Batch, old, a key.Account) error {
	if a.Canonical != old.Canonical {
		if ok, err := s.exists(spaceCanonical, a.Canonical); err != nil {
			return err
		} else if ok && a.Canonical != "" {
			return errs.E(op, errs.Exists, errs.Account, string(a.ID))
		}
	}
	unindex(b, old)
	if a.Canonical != "" {
		_ = b.Set(rowKey(spaceCanonical, a.Canonical), []byte(a.ID), nil)
	}
	if a.Email != "" {
		_ = b.Set(indexKey(spaceEmail, a.Email, a.ID), nil, nil)
	}
	return put(b, spaceAccount, a.ID, a)
}

// unindex removes what finds an account besides its id.
func unindex(b *pebble.Batch, a key.Account) {
	if a.Canonical != "" {
		_ = b.Delete(rowKey(spaceCanonical, a.Canonical), nil)
	}
	if a.Email != "" {
		_ = b.Delete(indexKey(spaceEmail, a.Email, a.ID), nil)
	}
}

func (s *Keys) exists(space byte, id string) (bool, error) {
	raw, err := durable.Get(s.db, rowKey(space, id))
	return raw != nil, err
}

// RemoveAccount implements key.Writer.
func (s *Keys) RemoveAccount(ctx context.Context, id naming.AccountID) error {
	const op = "names.RemoveAccount"
	return s.change(ctx, op, func(b *pebble.Batch) error {
		var old key.Account
		if ok, err := read(s.db, spaceAccount, id, &old); err != nil || !ok {
			return found(op, ok, err, errs.Account, string(id))
		}
		prefix := rowkey.AppendName([]byte{spaceAccountUser}, id)
		err := each(ctx, s.db, op, prefix, rowkey.After(prefix), func(_, _ []byte) (bool, error) {
			return false, errs.E(op, errs.NotEmpty, errs.Account, string(id))
		})
		if err != nil {
			return err
		}
		unindex(b, old)
		return b.Delete(rowKey(spaceAccount, id), nil)
	})
}

// CreateUser implements key.Writer.
func (s *Keys) CreateUser(ctx context.Context, u key.User) (key.User, error) {
	const op = "names.CreateUser"
	u.Created, u.Revision = micro(u.Created), 1
	err := s.change(ctx, op, func(b *pebble.Batch) error {
		if ok, err := s.exists(spaceAccount, string(u.Account)); err != nil || !ok {
			return found(op, ok, err, errs.Account, string(u.Account))
		}
		ok, err := s.exists(spaceUser, string(u.ID))
		if err == nil && ok {
			err = errs.E(op, errs.Exists, errs.User, string(u.ID))
		}
		if err != nil {
			return err
		}
		_ = b.Set(indexKey(spaceAccountUser, u.Account, u.ID), nil, nil)
		return put(b, spaceUser, u.ID, u)
	})
	if err != nil {
		return key.User{}, err
	}
	return u, nil
}

// UpdateUser implements key.Writer. A user that goes to another account takes its keys along; NotFound/Account when that does not exist.
func (s *Keys) UpdateUser(ctx context.Context, u key.User) (key.User, error) {
	const op = "names.UpdateUser"
	u.Created = micro(u.Created)
	err := s.change(ctx, op, func(b *pebble.Batch) error {
		var old key.User
		if ok, err := read(s.db, spaceUser, u.ID, &old); err != nil || !ok {
			return found(op, ok, err, errs.User, string(u.ID))
		}
		if old.Revision != u.Revision {
			return errs.E(op, errs.Conflict, errs.User, string(u.ID))
		}
		if u.Account != old.Account {
			if ok, err := s.exists(spaceAccount, string(u.Account)); err != nil || !ok {
				return found(op, ok, err, errs.Account, string(u.Account))
			}
			_ = b.Delete(indexKey(spaceAccountUser, old.Account, u.ID), nil)
			_ = b.Set(indexKey(spaceAccountUser, u.Account, u.ID), nil, nil)
		}
		u.Revision++
		return put(b, spaceUser, u.ID, u)
	})
	if err != nil {
		return key.User{}, err
	}
	return u, nil
}

// RemoveUser implements key.Writer.
func (s *Keys) RemoveUser(ctx context.Context, id naming.UserID) error {
	const op = "names.RemoveUser"
	return s.change(ctx, op, func(b *pebble.Batch) error {
		var old key.User
		if ok, err := read(s.db, spaceUser, id, &old); err != nil || !ok {
			return found(op, ok, err, errs.User, string(id))
		}
		prefix := rowkey.AppendName([]byte{spaceUserKey}, id)
		err := each(ctx, s.db, op, prefix, rowkey.After(prefix), func(k, _ []byte) (bool, error) {
			_ = b.Delete(k, nil)
			return true, b.Delete(rowKey(spaceKey, string(k[len(prefix):])), nil)
		})
		if err != nil {
			return err
		}
		_ = b.Delete(indexKey(spaceAccountUser, old.Account, id), nil)
		return b.Delete(rowKey(spaceUser, id), nil)
	})
}

// CreateKey implements key.Writer.
func (s *Keys) CreateKey(ctx context.Context, k key.Key) error {
	const op = "names.CreateKey"
	k.Created, k.Expires = micro(k.Created), micro(k.Expires)
	return s.change(ctx, op, func(b *pebble.Batch) error {
		if ok, err := s.exists(spaceUser, string(k.User)); err != nil || !ok {
			return found(op, ok, err, errs.User, string(k.User))
		}
		ok, err := s.exists(spaceKey, k.AccessKey)
		if err == nil && ok {
			err = errs.E(op, errs.Exists, errs.Key, k.AccessKey)
		}
		if err != nil {
			return err
		}
		_ = b.Set(indexKey(spaceUserKey, k.User, k.AccessKey), nil, nil)
		return put(b, spaceKey, k.AccessKey, k)
	})
}

// DisableKey implements key.Writer.
func (s *Keys) DisableKey(ctx context.Context, accessKey string, disabled bool) error {
	const op = "names.DisableKey"
	return s.change(ctx, op, func(b *pebble.Batch) error {
		var k key.Key
		if ok, err := read(s.db, spaceKey, accessKey, &k); err != nil || !ok {
			return found(op, ok, err, errs.Key, accessKey)
		}
		k.Disabled = disabled
		return put(b, spaceKey, accessKey, k)
	})
}

// RemoveKey implements key.Writer.
func (s *Keys) RemoveKey(ctx context.Context, accessKey string) error {
	const op = "names.RemoveKey"
	return s.change(ctx, op, func(b *pebble.Batch) error {
		var k key.Key
		if ok, err := read(s.db, spaceKey, accessKey, &k); err != nil || !ok {
			return found(op, ok, err, errs.Key, accessKey)
		}
		_ = b.Delete(indexKey(spaceUserKey, k.User, accessKey), nil)
		return b.Delete(rowKey(spaceKey, accessKey), nil)
	})
}
