package swift

import (
	"bufio"
	"context"
	"errors"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
)

// Limits of forms.
const (
	formValueMax  = 4096 // longer values are cut, as in Swift
	formFieldsMax = 1000
)

// form is a browser's form being read. Its fields come before its files, and rule them.
type form struct {
	c      *call
	keys   []signingKey
	fields map[string]string
	files  int
	total  int // fields and files
}

// formPost stores the files of a browser's form that somebody with a key signed. It asks for no token.
func formPost(ctx context.Context, c *call) (*reply, error) {
	f := &form{c: c, fields: map[string]string{}}
	if c.level >= containerLevel {
		var err error
		if f.keys, err = c.signingKeys(ctx, c.container); err != nil {
			return nil, err
		}
	}
	boundary := formBoundary(c)
	body := bufio.NewReader(c.paced()) //nolint:contextcheck // a call takes the context of the request that it holds
	if start, err := body.Peek(len(boundary) + 2); string(start) != "--"+boundary {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, bad("FormPost: invalid starting boundary")
	}
	parts := multipart.NewReader(body, boundary)
	status, message, last := 0, "", (*call)(nil)
	var rep *reply
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, formError(err)
		}
		if f.total++; f.total > formFieldsMax {
			return nil, bad("FormPost: too many fields")
		}
		disp, params, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if disp != "form-data" || params["filename"] == "" {
			if err := f.field(params["name"], part); err != nil {
				return nil, err
			}
			continue
		}
		f.files++
		if most, err := f.number("max_file_count"); err != nil {
			return nil, err
		} else if int64(f.files) > most {
			status, message, last = http.StatusBadRequest, "max file count exceeded", nil
			break
		}
		if last, rep, err = f.file(ctx, part, params["filename"]); err != nil {
			return nil, err
		}
		if status = rep.status; status/100 != 2 {
			break
		}
	}
	if status == 0 {
		status, message = http.StatusBadRequest, "no files to process"
	}
	return f.answer(status, message, last, rep), nil
}

// formError says an error of reading a form.
func formError(err error) error {
	var known *errs.Error
	if errors.As(err, &known) {
		return err
	}
	return bad("FormPost: the form is broken off or has no end").because(err)
}

// field keeps a field.
func (f *form) field(name string, part io.Reader) error {
	value, err := io.ReadAll(io.LimitReader(part, formValueMax))
	if err == nil {
		_, err = io.Copy(io.Discard, part)
	}
	if err != nil {
		return formError(err)
	}
	if name != "" {
		f.fields[strings.ToLower(name)] = strings.TrimRight(string(value), "\r\n-")
	}
	return nil
}

// number reads a field; absent it is 0.
func (f *form) number(name string) (int64, error) {
	text := f.fields[name]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, bad("FormPost: " + name + " not an integer")
	}
	return n, nil
}

// verify checks the signature over what the form may do. Errors: 400 for fields that are no numbers, 401.
func (f *form) verify() (most int64, key signingKey, err error) {
	unsigned := refusal(http.StatusUnauthorized, "FormPost: Invalid Signature").carrying("Content-Type", "text/html; charset=UTF-8")
	if len(f.keys) == 0 {
		return 0, key, unsigned
	}
	if most, err = f.number("max_file_size"); err != nil {
		return 0, key, err
	}
	for name, hint := range map[string]string{"x_delete_at": "Unix timestamp required.", "x_delete_after": "Number of seconds required."} {
		if _, err := f.number(name); err != nil {
			return 0, key, bad("FormPost: " + name + " not an integer: " + hint)
		}
	}
	until, err := f.number("expires")
	if err != nil {
		return 0, key, bad("FormPost: expired not an integer")
	}
	if until < f.c.started.Unix() {
		return 0, key, refusal(http.StatusUnauthorized, "FormPost: Form Expired").carrying("Content-Type", "text/html; charset=UTF-8")
	}
	sig, ok := parseSignature(f.fields["signature"])
	if !ok {
		return 0, key, unsigned
	}
	orZero := func(name string) string {
		if v := f.fields[name]; v != "" {
			return v
		}
		return "0"
	}
	text := strings.Join([]string{f.c.path, f.fields["redirect"], orZero("max_file_size"), orZero("max_file_count"), orZero("expires")}, "\n")
	for _, k := range f.keys {
		if sig.by(k.key, text) {
			return most, k, nil
		}
	}
	return 0, key, unsigned
}

// file stores a file under the form's path and its own name.
func (f *form) file(ctx context.Context, part *multipart.Part, filename string) (*call, *reply, error) {
	most, key, err := f.verify()
	if err != nil {
		return nil, nil, err
	}
	name, err := objectName(f.c.rawNames[1] + filename)
	if err != nil {
		return nil, nil, err
	}
	if err := checkUTF8(filename); err != nil {
		return nil, nil, err
	}
	header := http.Header{}
	for _, h := range []struct{ field, header string }{{"x_delete_at", "X-Delete-At"}, {"x_delete_after", "X-Delete-After"}} {
		if v := f.fields[h.field]; v != "" {
			header[h.header] = []string{v}
		}
	}
	for _, h := range []struct{ field, header string }{{"content-type", "Content-Type"}, {"content-encoding", "Content-Encoding"}} {
		v, given := f.fields[h.field]
		if !given {
			v = part.Header.Get(h.header)
		}
		if v != "" {
			header[h.header] = []string{v}
		}
	}
	if origin := f.c.h("Origin"); origin != "" {
		header["Origin"] = []string{origin}
	}
	s := f.c.sub(ctx, http.MethodPut, f.c.container, name, header)
	s.caller.RequestID, s.caller.Facts, s.caller.Principal, s.signed = f.c.id, f.c, f.c.bearer(key.scope), &link{}
	content := &capped{r: part, left: most}
	rep := s.with(content, -1).outcome(ctx)
	if content.left < 0 {
		return nil, nil, bad("FormPost: max_file_size exceeded")
	}
	return s, rep, nil
}

func checkUTF8(s string) error {
	if _, err := naming.ParseObject(s); err != nil {
		return refusal(http.StatusPreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	return nil
}

// capped fails when more comes than may.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errs.E("swift.formPost", errs.TooLarge, errs.Request, "").Because(errs.EntityTooLarge, "max_file_size exceeded")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = formError(err)
	}
	return n, err
}

// answer tells the browser what came of it, or sends it to where the form says.
func (f *form) answer(status int, message string, last *call, rep *reply) *reply {
	if last != nil {
		for name, values := range last.out {
			if strings.HasPrefix(name, "Access-Control-") {
				f.c.out[name] = values
			}
		}
	}
	redirect := f.fields["redirect"]
	if redirect == "" || strings.ContainsFunc(redirect, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		body := statusLine(status)
		if message != "" {
			body += "\r\nFormPost: " + titled(message)
		}
		if status/100 != 2 && last != nil && len(rep.body) > 0 {
			body = string(rep.body)
		}
		f.c.set("Content-Type", "text/plain")
		return &reply{status: status, body: []byte(body), refused: status >= http.StatusBadRequest}
	}
	mark := "?"
	if strings.Contains(redirect, "?") {
		mark = "&"
	}
	redirect += mark + "status=" + strconv.Itoa(status) + "&message=" + strings.ReplaceAll(url.QueryEscape(message), "+", "%20")
	f.c.set("Location", redirect)
	f.c.set("Content-Type", "text/html; charset=UTF-8")
	return &reply{status: http.StatusSeeOther, body: []byte(`<html><body><p><a href="` + html.EscapeString(redirect) + `">Click to continue...</a></p></body></html>`), refused: status >= http.StatusBadRequest}
}

// titled begins each word with a capital.
func titled(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
