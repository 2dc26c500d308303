package thin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSignature repeats the first example of "Authenticating Requests: Using the Authorization Header" in the S3 API reference.
func TestSignature(t *testing.T) {
	c := New("examplebucket.s3.amazonaws.com", Keys{Access: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}, 0)
	c.now = func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }
	c.sign(&Request{Method: "GET", Path: "/test.txt", Headers: []Header{{"range", "bytes=0-9"}}})
	const want = "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if !strings.Contains(string(c.head), want) {
		t.Errorf("head lacks %s:\n%s", want, c.head)
	}
}

// TestExchange sends bodies in each way and reads answers with a length, in chunks, and without a body, over one connection.
func TestExchange(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("ETag", `"abc"`)
		switch r.URL.Path {
		case "/chunks":
			for part := range bytes.Lines(body) {
				_, _ = w.Write(part)
				w.(http.Flusher).Flush()
			}
		case "/gone":
			w.WriteHeader(http.StatusNoContent)
		case "/bad":
			http.Error(w, "no", http.StatusBadRequest)
		default:
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		}
	}))
	t.Cleanup(server.Close)
	c := New(strings.TrimPrefix(server.URL, "http://"), Keys{Access: "a", Secret: "b", Region: "r"}, 10*time.Second)
	t.Cleanup(c.Close)

	large := strings.Repeat("0123456789\n", 100_000)
	tests := []struct {
		name string
		r    Request
		want Response
	}{
		{"small", Request{Method: "PUT", Path: "/x", Body: []byte("hello")}, Response{Status: 200, ETag: "abc", Length: 5, Body: []byte("hello")}},
		{"large", Request{Method: "PUT", Path: "/x", Body: []byte(large), Payload: Unsigned}, Response{Status: 200, ETag: "abc", Length: int64(len(large)), Body: []byte(large)}},
		{
			"stream",
			Request{Method: "PUT", Path: "/x", Payload: Unsigned, Length: 5, Stream: func(w io.Writer) error {
				_, err := io.WriteString(w, "hello")
				return err
			}},
			Response{Status: 200, ETag: "abc", Length: 5, Body: []byte("hello")},
		},
		{"chunks", Request{Method: "PUT", Path: "/chunks", Body: []byte("a\nb\n")}, Response{Status: 200, ETag: "abc", Length: 4, Body: []byte("a\nb\n")}},
		{"no content", Request{Method: "DELETE", Path: "/gone"}, Response{Status: 204, ETag: "abc", Body: []byte{}}},
		{"head", Request{Method: "HEAD", Path: "/x"}, Response{Status: 200, ETag: "abc", Body: []byte{}}},
		{"refused", Request{Method: "GET", Path: "/bad"}, Response{Status: 400, ETag: "", Length: 3, Body: []byte("no\n")}},
	}
	for _, tt := range tests {
		got, err := c.Do(&tt.r, nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if tt.name == "refused" {
			got.ETag = ""
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestEscape leaves only what signatures leave.
func TestEscape(t *testing.T) {
	if got, want := Escape("a/b c+é~", true), "a/b%20c%2B%C3%A9~"; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	if got, want := Escape("a/b", false), "a%2Fb"; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
}
