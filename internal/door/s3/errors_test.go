package s3

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pithos/internal/errs"
)

// TestErrorAnswers compares whole answers with testdata/errors.txt: a request as it goes over the wire, then the answer. Requests are
// unsigned and go to an empty world.
func TestErrorAnswers(t *testing.T) {
	path := filepath.Join("testdata", "errors.txt")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var out strings.Builder
	for section := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n=====\n") {
		request, _, _ := strings.Cut(section, "\n-----\n")
		if out.Len() > 0 {
			out.WriteString("=====\n")
		}
		out.WriteString(request + "\n-----\n" + mask(w.raw(request)))
	}
	golden(t, path, out.String())
}

// raw sends a request as text and gives the answer as text.
func (w *world) raw(request string) string {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", w.srv.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	head, body, _ := strings.Cut(request, "\n\n")
	method, _, _ := strings.Cut(head, " ")
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		w.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%s: %v", head, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s: %v", head, err)
	}
	var b bytes.Buffer
	b.WriteString(res.Proto + " " + res.Status + "\n")
	if res.ContentLength < 0 {
		b.WriteString("(no length)\n")
	}
	_ = res.Header.Write(&b)
	b.WriteString("\n")
	b.Write(text)
	return strings.ReplaceAll(b.String(), "\r\n", "\n") + "\n"
}

// mask replaces what differs from run to run.
func mask(s string) string {
	for pattern, with := range map[string]string{
		`Date: .*`:                       "Date: DATE",
		`X-Amz-Request-Id: [0-9A-F]{16}`: "X-Amz-Request-Id: ID",
		`X-Amz-Id-2: \S{48}`:             "X-Amz-Id-2: HOST",
		`<RequestId>[0-9A-F]{16}</`:      "<RequestId>ID</",
		`<HostId>\S{48}</HostId>`:        "<HostId>HOST</HostId>",
		`<ServerTime>[^<]*</ServerTime>`: "<ServerTime>TIME</ServerTime>",
		`Content-Length: \d+`:            "Content-Length: N",
	} {
		s = regexp.MustCompile(pattern).ReplaceAllString(s, with)
	}
	return s
}

func TestEveryKindAndReasonHasACode(t *testing.T) {
	for _, k := range errs.Kinds() {
		c := codeOf(&errs.Error{Kind: k})
		if c.status() < 300 || c.status() == 400 && k != errs.Invalid && k != errs.TooLarge {
			t.Errorf("%s: code %s has status %d", k, c, c.status())
		}
		if c == InternalError && k != errs.Internal && k != errs.Corrupt && k != errs.NotFound {
			t.Errorf("%s has no code of its own", k)
		}
		if messages[c] == "" && c != NotModified && c != clientLeft {
			t.Errorf("%s has no message", c)
		}
	}
}
