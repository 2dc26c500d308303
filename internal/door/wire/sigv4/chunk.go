package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"pithos/internal/errs"
)

// lineMax bounds a chunk's header line and a trailer line, bytes. It is all the memory that a body takes.
const lineMax = 4 << 10

// chunkSeed is what the signatures of chunks start from.
type chunkSeed struct {
	key          *signingKey
	stamp, scope string
	seed         [32]byte // the signature of the request
}

// Body reads the bytes of a request, without framing. It is used by one goroutine.
//
// A Read that fails with anything but io.EOF means that the body is not what the client declared; bytes that were read
// before are then worthless. The framing has no lower limit for chunks, and no upper one but the declared length, since a chunk is never held.
type Body struct {
	auth *Auth
	src  io.Reader

	// For streaming modes.
	br       *bufio.Reader
	rest     int64    // declared bytes still to come
	left     int64    // of them in the present chunk
	prev     [32]byte // signature before the present chunk's
	want     [32]byte // signature of the present chunk
	sum      hash.Hash
	trailers []Field

	err error
}

// Body reads a request's body from src. With verify, a body whose hash is signed (Hashed) is hashed here and must match; without, the
// caller compares Auth.SHA256 itself. Errors: Invalid/Request with reasons IncompleteBody, ExcessBody or BadSHA256; Unauthenticated for
// a wrong chunk signature; errors of src other than a short body pass through.
func (a *Auth) Body(src io.Reader, verify bool) *Body {
	b := &Body{auth: a, src: src}
	switch {
	case a.Payload.Streaming():
		b.br = bufio.NewReaderSize(src, lineMax)
		b.rest = a.DecodedLength
		b.prev = a.chain.seed
		if a.Payload != StreamUnsignedTrailer {
			b.sum = sha256.New()
		}
	case a.Payload == Hashed && verify:
		b.sum = sha256.New()
	}
	return b
}

// Trailers are the trailers that came, names in lower case. They are complete, and signed if the mode signs them, after io.EOF.
func (b *Body) Trailers() []Field { return b.trailers }

// Trailer is the value of one trailer after io.EOF.
func (b *Body) Trailer(lower string) (value string, present bool) {
	for _, t := range b.trailers {
		if t.Name == lower {
			return t.Value, true
		}
	}
	return "", false
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	var n int
	if b.br == nil {
		n, b.err = b.readPlain(p)
	} else {
		n, b.err = b.readChunked(p)
	}
	return n, b.err
}

func (b *Body) readPlain(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if b.sum != nil {
		_, _ = b.sum.Write(p[:n])
		if err == io.EOF && subtle.ConstantTimeCompare(b.sum.Sum(nil), b.auth.SHA256[:]) != 1 {
			return n, ErrSHA256()
		}
	}
	return n, cutShort(err)
}

// ErrSHA256 is the refusal of a body that does not have the signed hash.
func ErrSHA256() error {
	return refuse("sigv4.Body", ContentSHA256Mismatch, contentSHA256MismatchM)
}

func (b *Body) readChunked(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left == 0 {
		if err := b.nextChunk(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.br.Read(p)
	if b.sum != nil {
		_, _ = b.sum.Write(p[:n])
	}
	b.left -= int64(n)
	b.rest -= int64(n)
	if err != nil {
		return n, cutShort(eofIsShort(err))
	}
	if b.left == 0 {
		return n, b.endChunk()
	}
	return n, nil
}

// nextChunk reads a chunk's header, and after the last one all that follows: then it returns io.EOF if everything holds.
func (b *Body) nextChunk() error {
	size, err := b.chunkHeader()
	if err != nil {
		return err
	}
	if size > b.rest {
		return excess("the chunks hold more bytes than x-amz-decoded-content-length declares")
	}
	if size > 0 {
		b.left = size
		return nil
	}
	if err := b.checkChunk(); err != nil {
		return err
	}
	if b.rest > 0 {
		return short()
	}
	if err := b.finish(); err != nil {
		return err
	}
	return io.EOF
}

// chunkHeader reads "hex-size;chunk-signature=hex\r\n", the signature only in the signed modes.
func (b *Body) chunkHeader() (int64, error) {
	line, err := b.line()
	if err != nil {
		return 0, err
	}
	digits, ext, _ := bytes.Cut(line, []byte{';'})
	digits = bytes.TrimSpace(digits)
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("a chunk's size is not a hexadecimal number")
	}
	var size int64
	for _, c := range digits {
		d := unhex(c)
		if d > 15 {
			return 0, malformed("a chunk's size is not a hexadecimal number")
		}
		size = size<<4 | int64(d)
	}
	if b.sum == nil {
		return size, nil
	}
	name, value, _ := bytes.Cut(bytes.TrimSpace(ext), []byte{'='})
	if string(name) != "chunk-signature" || len(value) != 64 {
		return 0, malformed("a chunk has no chunk-signature")
	}
	if _, err := hex.Decode(b.want[:], value); err != nil {
		return 0, malformed("a chunk-signature is not 64 hexadecimal digits")
	}
	return size, nil
}

// endChunk reads the line end after a chunk's bytes and checks its signature.
func (b *Body) endChunk() error {
	line, err := b.line()
	if err != nil {
		return err
	}
	if len(line) != 0 {
		return malformed("a chunk is longer than its size says")
	}
	return b.checkChunk()
}

// checkChunk compares the signature of the chunk whose bytes have just been read.
func (b *Body) checkChunk() error {
	if b.sum == nil {
		return nil
	}
	c := &b.auth.chain
	var data [32]byte
	b.sum.Sum(data[:0])
	b.sum.Reset()
	var scratch [384]byte
	s := b.appendPrefix(scratch[:0], "AWS4-HMAC-SHA256-PAYLOAD")
	s = append(s, EmptySHA256...)
	s = append(s, '\n')
	s = hex.AppendEncode(s, data[:])
	var sum [32]byte
	c.key.sum(&sum, s)
	if subtle.ConstantTimeCompare(sum[:], b.want[:]) != 1 {
		return mismatch(clip(b.auth.AccessKey), string(s), hex.EncodeToString(b.want[:]), "")
	}
	b.prev = sum
	return nil
}

// appendPrefix appends the first lines of a chunk's or trailer's string to sign.
func (b *Body) appendPrefix(s []byte, kind string) []byte {
	c := &b.auth.chain
	for _, l := range []string{kind, c.stamp, c.scope} {
		s = append(s, l...)
		s = append(s, '\n')
	}
	s = hex.AppendEncode(s, b.prev[:])
	return append(s, '\n')
}

// finish reads what follows the last chunk: trailers if the mode has them, an empty line, and then nothing. The last empty line may be missing.
func (b *Body) finish() error {
	signed := b.auth.Payload == StreamSignedTrailer
	var canonical []byte
	var signature string
	blank := 0
	for {
		line, err := b.br.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			return b.lineError(err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			// Some clients put an empty line before the trailer's signature.
			if blank++; blank > 2 {
				return excess("bytes follow the last chunk")
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		lower := strings.ToLower(string(bytes.TrimSpace(name)))
		switch {
		case !ok, !b.auth.Payload.Trailing(), signature != "":
			return excess("bytes follow the last chunk")
		case blank > 0 && (!signed || lower != "x-amz-trailer-signature"):
			return excess("bytes follow the last chunk")
		case signed && lower == "x-amz-trailer-signature":
			signature = string(bytes.TrimSpace(value))
			continue
		case len(b.trailers) == trailersMax:
			return malformedTrailer()
		}
		t := Field{lower, string(bytes.TrimSpace(value))}
		b.trailers = append(b.trailers, t)
		canonical = append(append(append(append(canonical, t.Name...), ':'), t.Value...), '\n')
	}
	return b.checkTrailers(signed, canonical, signature)
}

// checkTrailers checks that the declared trailers came, each once, and no other, and their signature.
func (b *Body) checkTrailers(signed bool, canonical []byte, signature string) error {
	if len(b.trailers) != len(b.auth.Trailers) {
		return malformedTrailer()
	}
	for _, name := range b.auth.Trailers {
		if !slices.ContainsFunc(b.trailers, func(t Field) bool { return t.Name == name }) {
			return malformedTrailer()
		}
	}
	if !signed {
		return nil
	}
	want, err := hex.DecodeString(signature)
	if err != nil || len(want) != 32 {
		return malformedTrailer()
	}
	data := sha256.Sum256(canonical)
	s := b.appendPrefix(nil, "AWS4-HMAC-SHA256-TRAILER")
	s = hex.AppendEncode(s, data[:])
	var sum [32]byte
	b.auth.chain.key.sum(&sum, s)
	if subtle.ConstantTimeCompare(sum[:], want) != 1 {
		return mismatch(clip(b.auth.AccessKey), string(s), signature, "")
	}
	return nil
}

// line reads a line without its end.
func (b *Body) line() ([]byte, error) {
	line, err := b.br.ReadSlice('\n')
	if err != nil {
		return nil, b.lineError(err)
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte{'\r'}), nil
}

func (b *Body) lineError(err error) error {
	if errors.Is(err, bufio.ErrBufferFull) {
		return malformed("a line of the body's framing is too long")
	}
	return cutShort(eofIsShort(err))
}

func eofIsShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cutShort turns an early end into S3's word; other errors pass.
func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return short()
	}
	return err
}

func short() error {
	return refuse("sigv4.Body", IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

func excess(msg string) error {
	err := refuse("sigv4.Body", IncompleteBody, msg)
	var e *errs.Error
	if errors.As(err, &e) {
		e.Reason = errs.ExcessBody
	}
	return err
}

func malformed(msg string) error {
	return refuse("sigv4.Body", InvalidRequest, "The body is not in aws-chunked form: "+msg)
}

func malformedTrailer() error {
	return refuse("sigv4.Body", MalformedTrailer, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}
