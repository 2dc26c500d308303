package s3

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"pithos/internal/errs"
)

// Limits of a form (S3 API Reference, "POST Object": what comes before the file has at most 20 KB).
const (
	formFieldsMax  = 20 << 10 // names and values of all fields before the file, bytes
	formHeadMax    = 64 << 10 // everything before the file as it was sent, bytes
	formFieldCount = 200
	formTailMax    = 1 << 20 // what follows the file and is read and dropped, bytes
)

// form is a browser's upload form, read up to the first byte of its file. Nothing behind the file counts.
type form struct {
	fields   map[string]string // values by name in lower case, with ${filename} put in
	names    []string          // in the order of the form
	filename string
	file     *formFile
	head     *allowance
	parts    *multipart.Reader
}

// fileVariable stands for the name of the file in the value of any field.
const fileVariable = "${filename}"

// readForm reads a form up to its file. Errors: PreconditionFailed (it is no form), MalformedPOSTRequest, MaxPostPreDataLengthExceededError,
// InvalidArgument, and those of the body.
func readForm(contentType string, body io.Reader) (*form, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return nil, fail(PreconditionFailed, "").with("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	if params["boundary"] == "" {
		return nil, malformedForm(nil)
	}
	f := &form{fields: map[string]string{}, head: &allowance{r: body, left: formHeadMax}}
	f.parts = multipart.NewReader(f.head, params["boundary"])
	room := formFieldsMax
	for {
		part, err := f.parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fail(InvalidArgument, "POST requires exactly one file upload per request.").with("ArgumentName", "file").with("ArgumentValue", "0")
		case err != nil:
			return nil, malformedForm(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "" {
			return nil, malformedForm(nil)
		}
		if name == "file" {
			f.filename = lastSegment(part)
			f.file = &formFile{part: part, most: -1}
			f.head.lift()
			f.expand()
			return f, nil
		}
		if room, err = f.field(name, part, room); err != nil {
			return nil, err
		}
	}
}

// field reads one field; room is what all those to come may have.
func (f *form) field(name string, part io.Reader, room int) (int, error) {
	raw, err := io.ReadAll(io.LimitReader(part, int64(room)+1))
	if err != nil {
		return 0, malformedForm(err)
	}
	room -= len(name) + len(raw)
	if room < 0 || len(f.names) == formFieldCount {
		return 0, tooMuchBeforeFile()
	}
	value := string(raw)
	if before, twice := f.fields[name]; twice {
		if !strings.HasPrefix(name, "x-amz-meta-") {
			return 0, badArgument(clip(name), value, "The field is in the form twice.")
		}
		f.fields[name] = before + "," + value
		return room, nil
	}
	f.names = append(f.names, name)
	f.fields[name] = value
	return room, nil
}

// expand puts the name of the file into the values ("All variables within the form are expanded prior to validating the POST policy"). What
// is signed, and the signature, stay as they are.
func (f *form) expand() {
	for name, value := range f.fields {
		if name != "policy" && !strings.HasSuffix(name, "signature") {
			f.fields[name] = strings.ReplaceAll(value, fileVariable, f.filename)
		}
	}
}

// has reports whether the form has the field.
func (f *form) has(name string) bool {
	_, ok := f.fields[name]
	return ok
}

// finish reads what follows the file, so that a form whose end is missing is not taken for a whole one.
func (f *form) finish() error {
	f.head.limit(formTailMax)
	for {
		part, err := f.parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return malformedForm(err)
		}
	}
}

// lastSegment is the name of the file without the folders that some browsers send.
func lastSegment(p *multipart.Part) string {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	name := params["filename"]
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// formFile is the file of a form.
type formFile struct {
	part *multipart.Part
	most int64 // bytes; -1: no limit
	n    int64
}

// Read implements io.Reader. Errors: EntityTooLarge, MalformedPOSTRequest, and those of the body.
func (f *formFile) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	f.n += int64(n)
	if f.most >= 0 && f.n > f.most {
		return 0, fail(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size").
			with("ProposedSize", itoa(int(f.n))).with("MaxSizeAllowed", itoa(int(f.most)))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = malformedForm(err)
	}
	return n, err
}

// allowance is a reader that hands out a bounded number of bytes.
type allowance struct {
	r       io.Reader
	left    int64
	endless bool
}

func (a *allowance) lift()         { a.endless = true }
func (a *allowance) limit(n int64) { a.endless, a.left = false, n }

// Read implements io.Reader.
func (a *allowance) Read(p []byte) (int, error) {
	if a.endless {
		return a.r.Read(p)
	}
	if a.left == 0 {
		return 0, tooMuchBeforeFile()
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, err
}

func tooMuchBeforeFile() error {
	return fail(MaxPostPreDataLength, "").with("MaxPostPreDataLengthBytes", itoa(formFieldsMax))
}

// malformedForm is the refusal of a form that cannot be read, unless the body itself failed and says why.
func malformedForm(err error) error {
	var own *fault
	var known *errs.Error
	if errors.As(err, &own) {
		return own
	}
	if errors.As(err, &known) {
		return err
	}
	return fail(MalformedPOSTRequest, "").because(err)
}

// header makes of the fields the headers that PutObject has for the same things. Names that authenticate, and those of the form itself, are left out.
// Errors: InvalidArgument.
func (f *form) header() (http.Header, error) {
	h := http.Header{}
	for _, name := range f.names {
		target := name
		switch name {
		case "acl":
			target = "x-amz-acl"
		case "cache-control", "content-type", "content-disposition", "content-encoding", "content-language", "content-md5", "expires", "if-match", "if-none-match":
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token":
			continue
		default:
			if !strings.HasPrefix(name, "x-amz-") {
				continue
			}
		}
		value := strings.TrimSpace(f.fields[name])
		if strings.ContainsAny(value, "\r\n\x00") || !headerName(target) {
			return nil, badArgument(clip(name), value, "The field has characters that it cannot have.")
		}
		h[http.CanonicalHeaderKey(target)] = []string{value}
	}
	return h, nil
}
