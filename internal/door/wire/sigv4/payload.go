package sigv4

import (
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
	Hashed                               // the hash of the body is signed
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
		if len(mode) != 64 {
			return badPayload(mode)
		}
		if _, err := hex.Decode(a.SHA256[:], []byte(mode)); err != nil {
			return badPayload(mode)
		}
		a.Payload = Hashed
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
	s, present := r.get("x-amz-decoded-content-length")
	if !present {
		return refuse(op, MissingContentLength, "You must provide the x-amz-decoded-content-length HTTP header.")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return refuse(op, InvalidArgument, "The value of x-amz-decoded-content-length is not a length",
			Field{"ArgumentName", "x-amz-decoded-content-length"}, Field{"ArgumentValue", clip(s)})
	}
	a.DecodedLength = n
	return nil
}

func badPayload(mode string) error {
	return refuse("sigv4.Verify", InvalidArgument, "x-amz-content-sha256 must be "+unsignedPayload+", "+streamUnsignedTrailer+", "+streamSigned+", "+
		streamSignedTrailer+" or a valid sha256 value.", Field{"ArgumentName", "x-amz-content-sha256"}, Field{"ArgumentValue", clip(mode)})
}

// readTrailers reads the names that x-amz-trailer declares.
func (a *Auth) readTrailers(r *Request) error {
	const op = "sigv4.Verify"
	for _, v := range r.values("x-amz-trailer") {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			switch {
			case name == "":
				continue
			case !a.Payload.Trailing():
				return refuse(op, InvalidRequest, "x-amz-trailer needs an x-amz-content-sha256 that announces a trailer")
			case !strings.HasPrefix(name, "x-amz-checksum-"), slices.Contains(a.Trailers, name), len(a.Trailers) == trailersMax:
				return refuse(op, InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
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
