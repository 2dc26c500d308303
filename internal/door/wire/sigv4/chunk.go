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
	"strconv"
	"strings"

	"pithos/internal/errs"
)

// lineMax bounds a chunk's header line and a trailer line, bytes. It is all the memory that a body takes.
const lineMax = 4 << 10

const trailerSignature = "x-amz-trailer-signature"

// chunkSeed is what the signatures of chunks start from.
type chunkSeed struct {
	key          *signingKey
	stamp, scope string
	seed         [32]byte // the signature of the request
	canonical    string   // the canonical request, for refusals; only if the chunks are signed
}

// Body reads the bytes of a request, without framing. It is used by one goroutine.
//
// A Read that fails with anything but io.EOF means that the body is not what the client declared; bytes that were read
// before are then worthless. The framing has no upper limit for chunks but the declared length, since a chunk is never held, and a lower one only if
// the request was verified with one.
type Body struct {
	auth *Auth
	src  io.Reader

	// For streaming modes.
	br       *bufio.Reader
	rest     int64    // declared bytes still to come
	left     int64    // of them in the present chunk
	number   int      // of the present chunk
	last     int64    // size of the chunk before
	prev     [32]byte // signature before the present chunk's
	want     [32]byte // signature of the present chunk
	garbled  string   // what came in its place, if that is no signature
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
		if errors.Is(err, io.EOF) {
			var sum [32]byte
			b.sum.Sum(sum[:0])
			if wrong := b.auth.Proves(sum); wrong != nil {
				return n, wrong
			}
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = refuse("sigv4.Body", IncompleteBody, shortM)
	}
	return n, err
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
		return n, cutShort(err)
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
	if b.number++; size > 0 && b.number > 1 && b.last < b.auth.chunkMin {
		return tooSmall(b.auth.chunkMin, b.last, b.number)
	}
	b.last = size
	if size > b.rest {
		return miscounted("the chunks hold more bytes than x-amz-decoded-content-length declares", b.auth.DecodedLength, b.auth.DecodedLength-b.rest+size)
	}
	if size > 0 {
		b.left = size
		return nil
	}
	if err := b.checkChunk(); err != nil {
		return err
	}
	if err := b.finish(); err != nil {
		return err
	}
	if b.rest > 0 {
		return miscounted("the chunks hold fewer bytes than x-amz-decoded-content-length declares", b.auth.DecodedLength, b.auth.DecodedLength-b.rest)
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
	return size, b.chunkSignature(ext)
}

// chunkSignature reads "chunk-signature=hex" with or without spaces. What is no signature is told as a wrong one, once the chunk's bytes were read.
func (b *Body) chunkSignature(ext []byte) error {
	name, value, _ := bytes.Cut(ext, []byte{'='})
	name, value = bytes.TrimSpace(name), bytes.TrimSpace(value)
	first := string(name) == "chunk-signature"
	if len(value) == 0 || first && bytes.IndexByte(value, ';') >= 0 {
		return malformed("a chunk has no chunk-signature")
	}
	b.garbled = ""
	if first && len(value) == 2*len(b.want) {
		if _, err := hex.Decode(b.want[:], value); err == nil {
			return nil
		}
	}
	b.garbled = string(value)
	return nil
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
	if b.garbled != "" {
		return mismatch(clip(b.auth.AccessKey), string(s), b.garbled, c.canonical)
	}
	if subtle.ConstantTimeCompare(sum[:], b.want[:]) != 1 {
		return mismatch(clip(b.auth.AccessKey), string(s), hex.EncodeToString(b.want[:]), c.canonical)
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

// finish reads what follows the last chunk: trailers if the mode has them, and an empty line, which may be missing. A trailer that comes twice counts as
// sent last.
func (b *Body) finish() error {
	signed := b.auth.Payload == StreamSignedTrailer
	var canonical []byte
	var signature string
	for lines := 0; ; lines++ {
		if _, err := b.br.Peek(1); err == io.EOF {
			break
		}
		line, err := b.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			late, err := b.tail()
			if err != nil {
				return err
			}
			if signature == "" {
				signature = late
			}
			break
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		lower := strings.ToLower(string(bytes.TrimSpace(name)))
		switch {
		case !ok, !b.auth.Payload.Trailing(), signature != "":
			return excess("bytes follow the last chunk")
		case signed && lower == trailerSignature:
			signature = string(bytes.TrimSpace(value))
			continue
		case lines >= trailersMax:
			return malformedTrailer()
		}
		t := Field{lower, string(bytes.TrimSpace(value))}
		canonical = append(append(append(append(canonical, t.Name...), ':'), t.Value...), '\n')
		if i := slices.IndexFunc(b.trailers, func(have Field) bool { return have.Name == lower }); i >= 0 {
			b.trailers[i] = t
			continue
		}
		b.trailers = append(b.trailers, t)
	}
	return b.checkTrailers(signed, canonical, signature)
}

// tail looks at what follows the empty line behind the last chunk: some clients put it before the trailer's signature. All else means nothing, as at AWS,
// unless it is more than a line can be.
func (b *Body) tail() (signature string, err error) {
	rest, err := b.br.Peek(lineMax)
	switch {
	case err == nil:
		return "", excess("bytes follow the last chunk")
	case err != io.EOF:
		return "", cutShort(err)
	}
	line, _, whole := bytes.Cut(rest, []byte("\r\n"))
	name, value, _ := bytes.Cut(line, []byte{':'})
	if !whole || strings.ToLower(string(bytes.TrimSpace(name))) != trailerSignature {
		return "", nil
	}
	return string(bytes.TrimSpace(value)), nil
}

// checkTrailers checks that the declared trailers came, and no other, and their signature.
func (b *Body) checkTrailers(signed bool, canonical []byte, signature string) error {
	if signed && len(b.trailers) == len(b.auth.Trailers) && (signature == "" || len(b.trailers) == 0) {
		return malformed("the trailers have no signature, or a signature no trailers")
	}
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
		return mismatch(clip(b.auth.AccessKey), string(s), signature, b.auth.chain.canonical)
	}
	return nil
}

// line reads a line without its end, CR LF.
func (b *Body) line() ([]byte, error) {
	line, err := b.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("a line of the framing is too long")
	}
	if err != nil {
		return nil, cutShort(err)
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, malformed("a line of the framing does not end in CR LF")
	}
	return line, nil
}

// S3's two messages of IncompleteBody.
const (
	shortM = "You did not provide the number of bytes specified by the Content-Length HTTP header"
	endedM = "The request body terminated unexpectedly"
)

// cutShort turns an early end of a framed body into S3's word; other errors pass.
func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return refuse("sigv4.Body", IncompleteBody, endedM)
	}
	return err
}

// incomplete is an IncompleteBody with S3's message for the client; the log has why.
func incomplete(reason errs.Reason, msg, why string, fields ...Field) error {
	err := refuse("sigv4.Body", IncompleteBody, msg, fields...)
	var e *errs.Error
	if errors.As(err, &e) {
		e.Reason, e.Msg = reason, why
	}
	return err
}

// excess is the refusal of bytes behind the end.
func excess(why string) error { return incomplete(errs.ExcessBody, endedM, why) }

// malformed is the refusal of a body that is not in aws-chunked form, for which S3 has the same words as for one that ends early.
func malformed(why string) error {
	return incomplete("", endedM, "the body is not in aws-chunked form: "+why)
}

// miscounted is the refusal of a body that has not as many bytes as were declared.
func miscounted(why string, declared, sent int64) error {
	return incomplete(errs.ExcessBody, shortM, why,
		Field{"NumberBytesExpected", strconv.FormatInt(declared, 10)}, Field{"NumberBytesProvided", strconv.FormatInt(sent, 10)})
}

// tooSmall is the refusal of a chunk that another one follows. As at AWS it tells the number of the one that follows.
func tooSmall(least, size int64, number int) error {
	return refuse("sigv4.Body", InvalidChunkSize, "Only the last chunk is allowed to have a size less than "+strconv.FormatInt(least, 10)+" bytes",
		Field{"Chunk", strconv.Itoa(number)}, Field{"BadChunkSize", strconv.FormatInt(size, 10)})
}

func malformedTrailer() error {
	return refuse("sigv4.Body", MalformedTrailer, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}
