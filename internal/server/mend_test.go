package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/internal/config"
	"pithos/internal/door/wire"
)

// mended serves h on a connection that is mended, and gives its other end: what passes in plain, and what passes within TLS, is the same.
func mended(t *testing.T, over string, h http.HandlerFunc) (net.Conn, *bufio.Reader) {
	t.Helper()
	l, err := listen(t.Context(), "x", "x", "127.0.0.1:0", 4)
	if err != nil {
		t.Fatal(err)
	}
	m := newMender()
	srv := &http.Server{
		Handler: m.restore(h), ReadHeaderTimeout: time.Minute, ConnContext: m.connContext,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(t.Context()) },
	}
	conns, certFile := m.listener(l), ""
	if over == "TLS" {
		var pair config.Pair
		pair.Cert, pair.Key = WritePair(t, t.TempDir(), "localhost")
		s, err := newSecured("s3", config.TLS{Certificates: []config.Pair{pair}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		certFile = pair.Cert
		conns = newHandshakes(t.Context(), l, &handshakes{config: s.config(), mender: m, timeout: time.Minute, log: slog.New(slog.DiscardHandler)})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(conns)
	}()
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if over == "TLS" {
		d = &tls.Dialer{Config: &tls.Config{ServerName: "localhost", RootCAs: trusting(t, certFile), MinVersion: tls.VersionTLS12}}
	}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = srv.Close(); <-done })
	return c, bufio.NewReader(c)
}

// answerOf reads an answer's status line and headers as they are on the wire, and as many bytes of a body as they tell.
func answerOf(t *testing.T, r *bufio.Reader) (head, body string) {
	t.Helper()
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", head, err)
		}
		if head += line; line == "\r\n" {
			break
		}
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(r, raw); err != nil {
		t.Fatal(err)
	}
	return head, string(raw)
}

// echo tells what of a request reached the handler.
func echo(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/204":
		wire.AnnounceEmpty(r.Context())
		w.WriteHeader(http.StatusNoContent)
		return
	case "/304":
		wire.AnnounceEmpty(r.Context())
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, err := io.ReadAll(r.Body)
	text := fmt.Sprintf("%s host=%q expect=%q odd=%q high=%q body=%q err=%v", r.URL.Path, r.Host, r.Header.Get("Expect"), r.Header["X-Odd(\""], r.Header["X-\xc3\xa9"], body, err)
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	_, _ = io.WriteString(w, text)
}

func TestWhatNetHTTPRefusesReachesTheHandler(t *testing.T) {
	const lookalike = "GET /x HTTP/1.1\r\nExpect: 200\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
	for name, c := range map[string]struct{ send, want string }{
		"plain":  {"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", `/a host="h" expect="" odd=[] high=[] body="" err=<nil>`},
		"expect": {"PUT /a HTTP/1.1\r\nhost: h\r\nEXPECT: 200\r\nContent-Length: 2\r\n\r\nhi", `/a host="h" expect="200" odd=[] high=[] body="hi" err=<nil>`},
		"host":   {"GET /a HTTP/1.1\r\nHost: \xe2\x98\xba.h\r\n\r\n", `/a host="☺.h" expect="" odd=[] high=[] body="" err=<nil>`},
		"names":  {"GET /a HTTP/1.1\r\nHost: h\r\nX-Odd(\": 1\r\nX-Odd(\": 2\r\nX-\xc3\xa9: 3\r\n\r\n", `/a host="h" expect="" odd=["1" "2"] high=["3"] body="" err=<nil>`},
		"body as a request": {
			"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + fmt.Sprint(len(lookalike)) + "\r\n\r\n" + lookalike,
			fmt.Sprintf(`/a host="h" expect="" odd=[] high=[] body=%q err=<nil>`, lookalike),
		},
		"chunks as a request": {
			"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(lookalike), lookalike),
			fmt.Sprintf(`/a host="h" expect="" odd=[] high=[] body=%q err=<nil>`, lookalike),
		},
	} {
		for _, over := range []string{"TCP", "TLS"} {
			t.Run(name+" over "+over, func(t *testing.T) {
				conn, r := mended(t, over, echo)
				if _, err := io.WriteString(conn, c.send+c.send); err != nil { // pipelined
					t.Fatal(err)
				}
				for range 2 {
					if _, body := answerOf(t, r); body != c.want {
						t.Fatalf("%s\nwant\n%s", body, c.want)
					}
				}
				for i := range len(c.send) { // byte after byte
					if _, err := io.WriteString(conn, c.send[i:i+1]); err != nil {
						t.Fatal(err)
					}
				}
				if _, body := answerOf(t, r); body != c.want {
					t.Fatalf("%s\nwant\n%s", body, c.want)
				}
			})
		}
	}
}

func TestEmptyAnswersTellTheirLength(t *testing.T) {
	for _, over := range []string{"TCP", "TLS"} {
		conn, r := mended(t, over, echo)
		for _, path := range []string{"/204", "/a", "/304", "/204", "/a"} {
			if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			head, _ := answerOf(t, r)
			if strings.Count(head, "Content-Length: ") != 1 || strings.HasPrefix(path, "/a") == strings.Contains(head, "Content-Length: 0\r\n") {
				t.Errorf("%s over %s:\n%s", path, over, head)
			}
		}
	}
}

// Where the target is a whole URL, its host counts; the Host that was sent beside it is not lost.
func TestTheHostBesideAWholeURLIsKept(t *testing.T) {
	hosts := func(w http.ResponseWriter, r *http.Request) {
		text := r.Method + " " + r.Host + " " + wire.SentHost(r) + "\n"
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = io.WriteString(w, text)
	}
	const odd = "h:80:80"
	requests := []struct{ send, want string }{
		{"PUT http://u/a HTTP/1.1\r\nHost: " + odd + "\r\nContent-Length: 2\r\n\r\nhi", "PUT u " + odd},
		{"GET /http://u/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET h "},
		{"GET https://u:1/a HTTP/1.1\r\nHost: \xe2\x98\xba.h\r\n\r\n", "GET u:1 \xe2\x98\xba.h"},
		{"GET http://u HTTP/1.1\r\nHost:\r\n\r\n", "GET u "},
	}
	for _, over := range []string{"TCP", "TLS"} {
		conn, r := mended(t, over, hosts)
		for _, whole := range []bool{true, false} {
			for _, one := range requests {
				piece := len(one.send)
				if !whole {
					piece = 1
				}
				for rest := one.send; rest != ""; rest = rest[piece:] {
					if _, err := io.WriteString(conn, rest[:piece]); err != nil {
						t.Fatal(err)
					}
				}
				if _, body := answerOf(t, r); body != one.want+"\n" {
					t.Errorf("%q over %s: %q", one.send, over, body)
				}
			}
		}
	}
}

// TestWhatSmugglesIsRefused shows that what two readers could understand in two ways is refused as before.
func TestWhatSmugglesIsRefused(t *testing.T) {
	for _, lines := range []string{
		"X Y: 1\r\n", "Content-Length : 5\r\n", "X\x01: 1\r\n", "Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: +3\r\n", ": 1\r\n", "Transfer-Encoding: x\r\n",
	} {
		conn, r := mended(t, "TLS", echo)
		if _, err := io.WriteString(conn, "PUT /a HTTP/1.1\r\nHost: h\r\n"+lines+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if head, _ := answerOf(t, r); !strings.HasPrefix(head, "HTTP/1.1 400 ") && !strings.HasPrefix(head, "HTTP/1.1 501 ") {
			t.Errorf("%q:\n%s", lines, head)
		}
	}
}

// FuzzMend feeds a connection with anything in pieces of any size: what comes out is what went in, but for the lines that were marked.
func FuzzMend(f *testing.F) {
	f.Add([]byte("PUT /a HTTP/1.1\r\nHost: \xe2h\r\nExpect: 200\r\nX(: 1\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\r\n"), byte(7), byte(64))
	f.Add([]byte("GET http://u/ HTTP/1.1\r\nHost: h\r\n\r\n"), byte(2), byte(9))
	f.Add([]byte("GET / HTTP/1.0\n\nGET / HTTP/1.1\nTransfer-Encoding: chunked\nExpect: 5\n\n"), byte(1), byte(1))
	f.Add([]byte("\r\n\r\nA\r\n B\r\nHost\xff\r\nContent-Length: 99999999999999999999\r\n\r\n"), byte(3), byte(2))
	f.Fuzz(func(t *testing.T, data []byte, piece, room byte) {
		if bytes.Contains(data, []byte(unknownHost)) || bytes.Contains(data, []byte("Xmark")) {
			return
		}
		server, client := loopback(t)
		c := &mending{conn: server, mark: "Xmark"}
		go func() {
			defer func() { _ = client.CloseWrite() }()
			for rest := data; len(rest) > 0; {
				n := min(len(rest), int(piece)+1)
				if _, err := client.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		var out []byte
		buf := make([]byte, int(room)+1)
		for {
			n, err := c.Read(buf)
			if out = append(out, buf[:n]...); err != nil {
				break
			}
		}
		out = append(out, c.raw...) // a line that is not whole at the end goes nowhere
		got := bytes.ReplaceAll(bytes.ReplaceAll(out, []byte("Host: "+unknownHost+"\r\n"), nil), []byte("Xmark: "), nil)
		if !bytes.Equal(got, data) {
			t.Fatalf("%q\nbecame\n%q", data, out)
		}
	})
}

// loopback is both ends of a connection.
func loopback(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}
