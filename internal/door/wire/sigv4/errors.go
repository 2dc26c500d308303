package sigv4

import "pithos/internal/errs"

// Code is an error code of S3 (S3 API reference, "Error responses").
type Code string

// The codes with which this package refuses requests.
const (
	AccessDenied           Code = "AccessDenied"                      // 403
	HeaderMalformed        Code = "AuthorizationHeaderMalformed"      // 400
	QueryParameters        Code = "AuthorizationQueryParametersError" // 400
	IncompleteBody         Code = "IncompleteBody"                    // 400
	InvalidAccessKeyID     Code = "InvalidAccessKeyId"                // 403
	InvalidArgument        Code = "InvalidArgument"                   // 400
	InvalidChunkSize       Code = "InvalidChunkSizeError"             // 403
	InvalidRequest         Code = "InvalidRequest"                    // 400
	InvalidToken           Code = "InvalidToken"                      // 400
	InvalidURI             Code = "InvalidURI"                        // 400
	MalformedTrailer       Code = "MalformedTrailerError"             // 400
	MissingContentLength   Code = "MissingContentLength"              // 411
	NotImplemented         Code = "NotImplemented"                    // 501
	RequestTimeTooSkewed   Code = "RequestTimeTooSkewed"              // 403
	SignatureDoesNotMatch  Code = "SignatureDoesNotMatch"             // 403
	ContentSHA256Mismatch  Code = "XAmzContentSHA256Mismatch"         // 400
	contentSHA256MismatchM      = "The provided 'x-amz-content-sha256' header does not match what was computed."
)

// Codes lists the codes, so that a door's table can be tested to have a status for each.
func Codes() []Code {
	return []Code{
		AccessDenied, HeaderMalformed, QueryParameters, IncompleteBody, InvalidAccessKeyID, InvalidArgument, InvalidChunkSize, InvalidRequest, InvalidToken,
		InvalidURI, MalformedTrailer, MissingContentLength, NotImplemented, RequestTimeTooSkewed, SignatureDoesNotMatch, ContentSHA256Mismatch,
	}
}

// Field is an extra element of an error answer, such as Region or StringToSign.
type Field struct{ Name, Value string }

// Error is a refusal in S3's words. Message and Fields are for the client.
type Error struct {
	Code    Code
	Message string
	Fields  []Field
}

func (e *Error) Error() string { return string(e.Code) }

// kind gives the code's place among the kinds of Pithos.
func (c Code) kind() errs.Kind {
	switch c {
	case AccessDenied:
		return errs.Denied
	case InvalidAccessKeyID, SignatureDoesNotMatch, RequestTimeTooSkewed, InvalidToken:
		return errs.Unauthenticated
	case NotImplemented:
		return errs.Unsupported
	}
	return errs.Invalid
}

func (c Code) reason() errs.Reason {
	switch c {
	case IncompleteBody:
		return errs.IncompleteBody
	case ContentSHA256Mismatch:
		return errs.BadSHA256
	}
	return ""
}

// refuse builds the error that leaves this package.
func refuse(op string, c Code, msg string, fields ...Field) error {
	return &errs.Error{
		Op: op, Kind: c.kind(), Thing: errs.Request, Reason: c.reason(), Msg: msg,
		Err: &Error{Code: c, Message: msg, Fields: fields},
	}
}
