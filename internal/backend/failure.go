package backend

import (
	"context"
	"errors"
	"io"

	"pithos/internal/errs"
)

// fail wraps an error at an exported edge. What is no *errs.Error yet gets the kind that it has by nature.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return errs.Wrap(op, errs.Internal, err)
	case errors.Is(err, context.Canceled):
		return errs.Wrap(op, errs.Canceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(op, errs.Busy, err)
	}
	return errs.Wrap(op, errs.Internal, err)
}

// bodyFailed turns an error of a client's body into one with a kind: the client left, unless the reader says otherwise.
func bodyFailed(err error) error {
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errs.E("", errs.Invalid, errs.Request, "").
			Because(errs.IncompleteBody, "the body ended before the number of bytes that was declared").With(err)
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap("", errs.Busy, err)
	}
	return errs.Wrap("", errs.Canceled, err)
}
