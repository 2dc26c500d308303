package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

// namespace is the XML name space of S3's documents.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// document writes XML by hand: listings are long and hot, and encoding/xml is slow.
type document struct{ b []byte }

// newDocument begins an answer whose root element is in S3's name space.
func newDocument(root string) *document {
	x := &document{b: make([]byte, 0, 512)}
	x.begin()
	x.b = append(x.b, '<')
	x.b = append(x.b, root...)
	x.b = append(x.b, ` xmlns="`+namespace+`">`...)
	return x
}

func (x *document) begin() { x.b = append(x.b, xml.Header...) }

func (x *document) open(name string) {
	x.b = append(x.b, '<')
	x.b = append(x.b, name...)
	x.b = append(x.b, '>')
}

func (x *document) close(name string) {
	x.b = append(x.b, '<', '/')
	x.b = append(x.b, name...)
	x.b = append(x.b, '>')
}

// raw appends markup as it is.
func (x *document) raw(markup string) { x.b = append(x.b, markup...) }

// text writes an element with a text.
func (x *document) text(name, value string) {
	x.open(name)
	x.b = appendEscaped(x.b, value)
	x.close(name)
}

// textIf writes the element unless the text is empty.
func (x *document) textIf(name, value string) {
	if value != "" {
		x.text(name, value)
	}
}

func (x *document) int(name string, value int64) {
	x.open(name)
	x.b = strconv.AppendInt(x.b, value, 10)
	x.close(name)
}

func (x *document) bool(name string, value bool) {
	x.open(name)
	x.b = strconv.AppendBool(x.b, value)
	x.close(name)
}

// time writes an element with a time to the millisecond, as S3 does in documents.
func (x *document) time(name string, t time.Time) {
	x.open(name)
	x.b = t.UTC().AppendFormat(x.b, documentTime)
	x.close(name)
}

// etag writes an ETag in quotes.
func (x *document) etag(value string) {
	const name = "ETag"
	x.open(name)
	x.b = append(x.b, "&quot;"...)
	x.b = appendEscaped(x.b, value)
	x.b = append(x.b, "&quot;"...)
	x.close(name)
}

// owner writes an element with an account's id and display name.
func (x *document) owner(name string, o owner) {
	x.open(name)
	x.text("ID", o.id)
	x.textIf("DisplayName", o.name)
	x.close(name)
}

// reply closes the root element and makes the answer.
func (x *document) reply(c *call, root string) *reply {
	x.close(root)
	c.set("Content-Type", "application/xml")
	return &reply{status: http.StatusOK, body: x.b}
}

// documentTime is the form of times in documents.
const documentTime = "2006-01-02T15:04:05.000Z"

// appendEscaped escapes text. Characters that XML 1.0 cannot carry are written as character references, as AWS does: a
// strict parser refuses them, but nothing is lost for the others; encoding-type=url is the clean way.
func appendEscaped(dst []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[last:i]...), "\uFFFD"...)
				last = i + 1
			} else if r == 0xFFFE || r == 0xFFFF {
				dst = append(dst, s[last:i]...)
				dst = append(dst, "&#x"...)
				dst = strconv.AppendInt(dst, int64(r), 16)
				dst = append(dst, ';')
				last = i + n
			}
			i += n
			continue
		}
		var esc string
		switch ch {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '"':
			esc = "&quot;"
		case '\'':
			esc = "&apos;"
		default:
			if ch >= 0x20 {
				i++
				continue
			}
			esc = "&#x" + strconv.FormatInt(int64(ch), 16) + ";"
		}
		dst = append(dst, s[last:i]...)
		dst = append(dst, esc...)
		i++
		last = i
	}
	return append(dst, s[last:]...)
}

// xmlBody reads the request's XML document into v, whose XMLName says which root it must have. Name spaces are ignored, as at
// AWS. Errors: MalformedXML, MissingRequestBodyError, MaxMessageLengthExceeded, and those of the payload's proof.
func (c *call) xmlBody(v any) error {
	raw, err := c.wholeBody(c.door.o.Limits.XMLBytes)
	if err != nil {
		return c.tooLong(err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return fail(MissingRequestBody, "")
	}
	if c.door.o.AsSwift {
		return decodeSwiftXML(raw, v)
	}
	return decodeXML(raw, v)
}

// xmlDepth bounds the nesting of a document; S3's own go to six.
const xmlDepth = 16

// decodeXML reads a document. Depth is bounded; encoding/xml knows no entities but XML's own five, so none can explode.
func decodeXML(raw []byte, v any) error {
	if err := xml.NewTokenDecoder(&boundedTokens{d: xml.NewDecoder(bytes.NewReader(raw))}).Decode(v); err != nil {
		return fail(MalformedXML, "").because(err)
	}
	return nil
}

// boundedTokens hands out tokens without name spaces and refuses deep nesting and directives.
type boundedTokens struct {
	d     *xml.Decoder
	depth int
	// declared takes document type declarations; nil: they are refused.
	declared func(xml.Directive)
}

var errTooDeep = errors.New("document is nested too deeply")

// Token is the next token.
func (b *boundedTokens) Token() (xml.Token, error) {
	t, err := b.d.Token()
	if err != nil {
		return nil, err
	}
	switch e := t.(type) {
	case xml.StartElement:
		if b.depth++; b.depth > xmlDepth {
			return nil, errTooDeep
		}
		e.Name.Space = ""
		return e, nil
	case xml.EndElement:
		b.depth--
		e.Name.Space = ""
		return e, nil
	case xml.Directive:
		if b.declared != nil {
			b.declared(e)
			return e, nil
		}
		return nil, errors.New("document type declarations are not accepted")
	}
	return t, nil
}

// wholeBody reads a body of at most limit bytes into memory and proves it.
func (c *call) wholeBody(limit int) ([]byte, error) {
	raw, err := wire.ReadAll(c.bodyReader(), c.payload.size, int64(limit))
	switch {
	case errs.Is(err, errs.TooLarge):
		return nil, fail(MaxMessageLengthExceeded, "").because(err).with("MaxMessageLengthBytes", strconv.Itoa(limit))
	case err != nil:
		return nil, err
	}
	return raw, c.proveWhole(raw)
}

// headerList splits the lists of a header.
func headerList(values []string) []string {
	var list []string
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}
