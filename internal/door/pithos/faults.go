package pithos

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// statusOf is the status of an error: the common one, but for what this protocol has words of its own for.
func statusOf(e *errs.Error) int {
	if e.Kind != errs.Invalid {
		return wire.StatusOf(e.Kind)
	}
	switch e.Reason {
	case errs.BadDigest:
		return http.StatusUnprocessableEntity
	case errs.EntityTooLarge:
		return http.StatusRequestEntityTooLarge
	case errs.MarkerTarget:
		return http.StatusNotFound
	}
	return wire.StatusOf(e.Kind)
}

// nameOf is the name of the fault with a status (Pithos+ 2.4).
func nameOf(status int) string {
	switch status {
	case http.StatusNotModified:
		return "notModified"
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "itemNotFound"
	case http.StatusMethodNotAllowed:
		return "notAllowed"
	case http.StatusConflict:
		return "conflict"
	case http.StatusLengthRequired:
		return "lengthRequired"
	case http.StatusPreconditionFailed:
		return "preconditionFailed"
	case http.StatusRequestEntityTooLarge:
		return "requestEntityTooLarge"
	case http.StatusRequestedRangeNotSatisfiable:
		return "rangeNotSatisfiable"
	case http.StatusUnprocessableEntity:
		return "unprocessableEntity"
	case http.StatusNotImplemented:
		return "notImplemented"
	case http.StatusServiceUnavailable:
		return "serviceUnavailable"
	case http.StatusInsufficientStorage:
		return "insufficientStorage"
	}
	if status >= http.StatusInternalServerError {
		return "internalServerError"
	}
	return "badRequest"
}

// fault is an error in the protocol's own words, for what the door itself finds wrong.
type fault struct {
	status int
	msg    string
	header http.Header
	body   []byte // instead of the fault; nil: the fault
	cause  error  // for the log
}

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
	s := nameOf(f.status) + ": " + f.msg
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *fault) Unwrap() error { return f.cause }

// faultOf says any error in the protocol's words. What went wrong inside is not told.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		return refusal(http.StatusInternalServerError, "internal error").because(err)
	}
	f = refusal(statusOf(e), "").because(err)
	switch {
	case f.status == http.StatusInternalServerError:
		f.msg = "internal error"
	case e.Msg != "":
		f.msg = e.Msg
	default:
		f.msg = sentence(f.status)
	}
	return f
}

func sentence(status int) string {
	switch status {
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusRequestEntityTooLarge:
		return "Quota exceeded"
	case http.StatusServiceUnavailable:
		return "The service is busy. Please try again."
	}
	return http.StatusText(status)
}

// page writes the fault for people.
func (f *fault) page() []byte {
	title := html.EscapeString(strconv.Itoa(f.status) + " " + http.StatusText(f.status))
	return []byte("<!DOCTYPE html>\n<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1><p>" + html.EscapeString(f.msg) + "</p></body></html>\n")
}

// render writes the fault's body (Pithos+ 2.4).
func (f *fault) render(as format) []byte {
	name := nameOf(f.status)
	if as == xmlFormat {
		var b strings.Builder
		b.WriteString(xml.Header + "<" + name + ` code="` + strconv.Itoa(f.status) + `"><message>`)
		_ = xml.EscapeText(&b, []byte(f.msg)) // a Builder never fails
		b.WriteString("</message><details></details></" + name + ">")
		return []byte(b.String())
	}
	raw, err := json.Marshal(map[string]any{name: map[string]any{"code": f.status, "message": f.msg, "details": ""}})
	if err != nil { // never: it is made of text
		return nil
	}
	return raw
}
