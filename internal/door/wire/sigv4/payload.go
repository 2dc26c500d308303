package sigv4

import (
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Payload is how the body of a request comes and what vouches for it.
type Payload uint8

// The payload modes (S3 API reference, "Authenticating requests", x-amz-content-sha256).
const (
	Unsigned              Payload = iota // UNSIGNED-PAYLOAD, or nothing said and nothing needed
	Hashed                               // the hash of the body as sent is signed
	StreamSigned                         // STREAMING-AWS4-HMAC-SHA256-PAYLOAD: each chunk is signed
	StreamSignedTrailer                  // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER: and so are trailers
	StreamUnsignedTrailer                // STREAMING-UNSIGNED-PAYLOAD-TRAILER: chunks and trailers, unsigned
)

const (
	unsignedPayload       = "UNSIGNED-PAYLOAD"
	streamSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamECDSA           = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	streamECDSATrailer    = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)

// EmptySHA256 is the hash of no bytes, in hexadecimal digits.
const EmptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// trailersMax bounds the trailers of one body.
const trailersMax = 16

// Streaming reports whether the body is framed in chunks ("aws-chunked").
func (p Payload) Streaming() bool { return p >= StreamSigned }

// Trailing reports whether trailers may follow the body.
func (p Payload) Trailing() bool { return p >= StreamSignedTrailer }

// readPayload fills in what the headers say about the body. mode is the value of x-amz-content-sha256, "" when there is none.
func (a *Auth) readPayload(r *Request, mode string) error {
	const op = "sigv4.Verify"
	a.DecodedLength = -1
	switch mode {
	case "":
		// Version 2, presigned and unsigned requests need not say; their aws-chunked bodies carry no signatures.
		if _, framed := r.get("x-amz-decoded-content-length"); framed && isChunked(r) {
			a.Payload = StreamUnsignedTrailer
		}
	case unsignedPayload:
		a.Payload = Unsigned
	case streamSigned:
		a.Payload = StreamSigned
	case streamSignedTrailer:
		a.Payload = StreamSignedTrailer
	case streamUnsignedTrailer:
		a.Payload = StreamUnsignedTrailer
	case streamECDSA, streamECDSATrailer:
		return refuse(op, NotImplemented, "x-amz-content-sha256: "+mode+" (Signature Version 4A) is not supported")
	default:
		if !a.claim(mode) {
			return badPayload(mode)
		}
	}
	if (a.Payload == StreamSigned || a.Payload == StreamSignedTrailer) && a.chain.key == nil {
		return refuse(op, InvalidRequest, "x-amz-content-sha256: "+mode+" needs a request that is signed with "+Algorithm)
	}
	if err := a.readTrailers(r); err != nil {
		return err
	}
	if !a.Payload.Streaming() {
		return nil
	}
	var err error
	a.chunkMin = r.ChunkMin
	a.DecodedLength, err = decodedLength(r)
	return err
}

// readClaim is readPayload for the schemes that know no streaming: Version 2, and presigned URLs. There AWS takes whatever x-amz-content-sha256 says,
// but for UNSIGNED-PAYLOAD, for the hash of the body as sent, so that the name of a streaming mode is a wrong hash (found by Swift's tests, which were
// written against AWS). A wrong one is told only where a body is read.
func (a *Auth) readClaim(r *Request, mode string) error {
	if mode == "" || mode == unsignedPayload {
		return a.readPayload(r, mode)
	}
	a.DecodedLength = -1
	a.claim(mode)
	a.Payload = Hashed
	if err := a.readTrailers(r); err != nil || !strings.HasPrefix(mode, "STREAMING-") {
		return err
	}
	n, err := decodedLength(r)
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = miscounted("the body has its framing, which this signature does not have", n, r.ContentLength)
	}
	return err
}

// claim notes that the body's hash is said to be mode, and reports whether it can be.
func (a *Auth) claim(mode string) bool {
	a.claimed = mode
	if len(mode) == 2*len(a.SHA256) {
		if _, err := hex.Decode(a.SHA256[:], []byte(mode)); err == nil {
			a.Payload = Hashed
			return true
		}
	}
	a.SHA256 = [32]byte{}
	return false
}

// Proves compares the hash of the body with the signed one; without a signed one any will do. Errors: Invalid/Request with the reason BadSHA256.
func (a *Auth) Proves(sum [32]byte) error {
	if a.Payload != Hashed || subtle.ConstantTimeCompare(sum[:], a.SHA256[:]) == 1 {
		return nil
	}
	return refuse("sigv4.Body", ContentSHA256Mismatch, contentSHA256MismatchM,
		Field{"ClientComputedContentSHA256", clip(a.claimed)}, Field{"S3ComputedContentSHA256", hex.EncodeToString(sum[:])})
}

// decodedLength reads the length of a body without its framing. AWS calls it Content-Length when it is missing or no length.
func decodedLength(r *Request) (int64, error) {
	s, _ := r.get("x-amz-decoded-content-length")
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return -1, refuse("sigv4.Verify", MissingContentLength, "You must provide the Content-Length HTTP header.")
	}
	return n, nil
}

func badPayload(mode string) error {
	return refuse("sigv4.Verify", InvalidArgument, "x-amz-content-sha256 must be "+unsignedPayload+", "+streamUnsignedTrailer+", "+streamSigned+", "+
		streamSignedTrailer+" or a valid sha256 value.", Field{"ArgumentName", "x-amz-content-sha256"}, Field{"ArgumentValue", clip(mode)})
}

// trailerNames are the trailers that S3 knows. It is never written.
var trailerNames = []string{
	"x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256",
}

// readTrailers reads the names that x-amz-trailer declares. Commas at the end count for nothing, other empty names are refused, as at AWS.
func (a *Auth) readTrailers(r *Request) error {
	for _, v := range r.values("x-amz-trailer") {
		v = strings.TrimRight(strings.TrimSpace(v), ",")
		if v == "" {
			continue
		}
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if !slices.Contains(trailerNames, name) || len(a.Trailers) == trailersMax {
				return refuse("sigv4.Verify", InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
			}
			a.Trailers = append(a.Trailers, name)
		}
	}
	return nil
}

// isChunked reports whether Content-Encoding names aws-chunked.
func isChunked(r *Request) bool {
	for _, v := range r.values("content-encoding") {
		for one := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(one), "aws-chunked") {
				return true
			}
		}
	}
	return false
}
