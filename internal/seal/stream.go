package seal

import (
	"errors"
	"io"

	"github.com/minio/sio"
)

// Sizes of DARE 2.0 (github.com/minio/sio, DARE.md).
const (
	PackageSize = 64 << 10               // plain bytes of a package; the last one may have fewer
	overhead    = 32                     // of a package: its header and its tag
	SealedSize  = PackageSize + overhead // encrypted bytes of a whole package
)

// Sealed is the number of encrypted bytes for n plain ones.
func Sealed(n int64) int64 {
	return n + (n+PackageSize-1)/PackageSize*overhead
}

// Stream encrypts or decrypts the bytes of one PUT or part.
type Stream struct{ key Secret }

// config fixes the format and the cipher, whatever the machine would prefer.
func (s *Stream) config() sio.Config {
	return sio.Config{MinVersion: sio.Version20, MaxVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM}, Key: s.key[:]}
}

// Encrypt gives the encrypted bytes of src. It is called once for a new stream. No bytes become none.
func (s *Stream) Encrypt(src io.Reader) (io.Reader, error) { return sio.EncryptReader(src, s.config()) }

// Decrypt gives the plain bytes of src, which begins with a package of the stream: number first, counted from 0. No byte is given that was not
// authenticated. At the end of src its error is Corrupt unless that was the last package: whoever wants bytes up to the end of the
// stream reads until io.EOF. Errors of src come out as they are.
func (s *Stream) Decrypt(src io.Reader, first int64) (io.Reader, error) {
	if first < 0 || first > 1<<32-1 {
		return nil, errTampered()
	}
	c := s.config()
	c.SequenceNumber = uint32(first)
	plain, err := sio.DecryptReader(src, c)
	if err != nil {
		return nil, err
	}
	return &checked{plain}, nil
}

// checked gives failures of the cipher their kind.
type checked struct{ r io.Reader }

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	var broken sio.Error
	if errors.As(err, &broken) {
		err = errTampered()
	}
	return n, err
}
