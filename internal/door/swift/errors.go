package swift

import (
	"context"
	"errors"
	"net/http"

	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// statusOf is the status of an error: the common one, but for what Swift has words of its own for. Denied is 401 for the anonymous public: see refuse.
func statusOf(e *errs.Error) int {
	if e.Kind == errs.Canceled {
		return statusClientLeft
	}
	if e.Kind != errs.Invalid {
		return wire.StatusOf(e.Kind)
	}
	switch e.Reason {
	case errs.BadDigest:
		return http.StatusUnprocessableEntity
	case errs.IncompleteBody:
		return statusClientLeft
	case errs.SlowBody:
		return http.StatusRequestTimeout
	case errs.EntityTooLarge:
		return http.StatusRequestEntityTooLarge
	case errs.MarkerTarget:
		return http.StatusNotFound
	case errs.Broken:
		return http.StatusConflict
	}
	return wire.StatusOf(e.Kind)
}

// statusClientLeft is Swift's word for a client that did not send all of its body.
const statusClientLeft = 499

// fault is an error in Swift's own words, for what the door itself finds wrong.
type fault struct {
	status int
	msg    string // text/plain body; "" for the HTML page of the status
	header http.Header
	cause  error // for the log
	firm   bool  // signing in would change nothing
}

// refusal makes an error with a status.
func refusal(status int, msg string) *fault { return &fault{status: status, msg: msg} }

// bad is 400 with a sentence.
func bad(msg string) *fault { return refusal(http.StatusBadRequest, msg) }

// carrying adds a header, name in canonical form, to the answer and returns f.
func (f *fault) carrying(name, value string) *fault {
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header[name] = []string{value}
	return f
}

func (f *fault) because(err error) *fault {
	f.cause = err
	return f
}

func (f *fault) Error() string {
	s := http.StatusText(f.status)
	if f.msg != "" {
		s += ": " + f.msg
	}
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *fault) Unwrap() error { return f.cause }

// faultOf says any error in Swift's words.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) {
			return refusal(statusClientLeft, "").because(err)
		}
		return refusal(http.StatusInternalServerError, "").because(err)
	}
	// The outermost error may be a wrapper without a reason.
	status := statusOf(&errs.Error{Kind: e.Kind, Thing: e.Thing, Reason: errs.ReasonOf(err)})
	f = refusal(status, "").because(err)
	switch {
	case e.Kind == errs.Quota:
		f.msg = "Upload exceeds quota."
	case status == http.StatusConflict && errs.ReasonOf(err) == errs.Broken:
		f.msg = messageOf(err)
	case status == http.StatusBadRequest || status == http.StatusNotImplemented:
		f.msg = messageOf(err)
	}
	return f
}

// messageOf is the first public message in err's chain.
func messageOf(err error) string {
	for e := (*errs.Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Msg != "" {
			return e.Msg
		}
	}
	return ""
}

// sentences are the texts of the HTML pages; never written.
var sentences = map[int]string{
	http.StatusBadRequest:                   "The server could not comply with the request since it is either malformed or otherwise incorrect.",
	http.StatusAccepted:                     "The request is accepted for processing.",
	http.StatusUnauthorized:                 "This server could not verify that you are authorized to access the document you requested.",
	http.StatusForbidden:                    "Access was denied to this resource.",
	http.StatusNotFound:                     "The resource could not be found.",
	http.StatusMethodNotAllowed:             "The method is not allowed for this resource.",
	http.StatusNotAcceptable:                "The resource is not available in a format acceptable to your browser.",
	http.StatusRequestTimeout:               "The server has waited too long for the request to be sent by the client.",
	http.StatusConflict:                     "There was a conflict when trying to complete your request.",
	http.StatusLengthRequired:               "Content-Length header required.",
	http.StatusPreconditionFailed:           "A precondition for this request was not met.",
	http.StatusRequestEntityTooLarge:        "The body of your request was too large for this server.",
	http.StatusRequestedRangeNotSatisfiable: "The Range requested is not available.",
	http.StatusUnprocessableEntity:          "Unable to process the contained instructions",
	http.StatusInternalServerError:          "The server has either erred or is incapable of performing the requested operation.",
	http.StatusNotImplemented:               "The requested method is not implemented by this server.",
	http.StatusServiceUnavailable:           "The server is currently unavailable. Please try again at a later time.",
	http.StatusInsufficientStorage:          "There was not enough space to save the resource.",
}

// page is the HTML page of a status.
func page(status int) []byte {
	return []byte("<html><h1>" + http.StatusText(status) + "</h1><p>" + sentences[status] + "</p></html>")
}
