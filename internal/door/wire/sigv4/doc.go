// Package sigv4 decides who signed an S3 request, and decodes its payload.
//
// It knows every way in which S3 requests are authenticated: Signature Version
// 4 by header and by query (presigned URLs), Signature Version 2 by header and
// by query, and no signature at all. It is pure: the request is data, the time
// comes from a clock, secrets come from a look-up that the caller passes in.
// It never logs or returns a secret.
//
// # What is signed
//
// Version 4 signs a canonical request (S3 API reference, "Signature
// Calculations for the Authorization Header"):
//
//	method \n
//	path, percent-encoded once \n
//	query, names and values percent-encoded, sorted \n
//	name:value \n            for each signed header
//	\n
//	signed header names, joined by ";" \n
//	payload hash, or the name of a payload mode
//
// The path is taken from the request line as it was sent: nothing is cleaned,
// so "//", "." and ".." are names like any other. Every x-amz-* header must be
// signed; the Host header must be signed.
//
// # What the payload is
//
// x-amz-content-sha256 names one of six modes. Auth.Payload tells which, and
// Auth.Body undoes the framing of the three streaming ones ("aws-chunked"),
// checks chunk and trailer signatures, and fails its last Read if anything is
// not as declared: whoever publishes nothing before io.EOF publishes only
// proven bytes. Memory per body is one line buffer.
//
// The streaming modes belong to Version 4 by header. In Version 2 and in
// presigned URLs every value but UNSIGNED-PAYLOAD is the hash of the body as
// sent, and what is none is told as a wrong one when a body is read. Framing
// that is not aws-chunked is IncompleteBody. What follows the empty line behind
// the last chunk means nothing if it is shorter than a line may be. So AWS does.
//
// # Errors
//
// Every refusal is an *errs.Error about errs.Request whose cause is an *Error,
// which has S3's code, message and the extra elements of S3's answer. Errors of
// the look-up pass through unless they say that the key does not exist or may
// not be used.
package sigv4
