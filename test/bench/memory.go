package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

const (
	readers    = 100
	readObject = 1 << 30
	readRate   = 5_000_000 // bytes per second of each reader
	readTime   = 30 * time.Second
	writers    = 50
	writeSize  = 256 * mib
	memoryAim  = 512 * mib
)

// memory measures the largest resident set while many slow readers, or many writers, are at work.
func (b *bench) memory() error {
	return b.with(func(s *service.Service) error {
		c := s.Client(requestMax)
		defer c.Close()
		if _, err := do(c, &thin.Request{Method: "PUT", Path: "/memory"}); err != nil {
			return err
		}
		upload := &thin.Request{Method: "PUT", Path: "/memory/large", Payload: thin.Unsigned, Length: readObject, Stream: func(w io.Writer) error {
			return streamed(w, readObject, 1)
		}}
		if _, err := do(c, upload); err != nil {
			return err
		}
		fmt.Println("\n| load | throughput | peak RSS | aim, share reached |\n|---|---|---|---|")
		for _, load := range []struct {
			name string
			run  func(*service.Service) (int64, error)
		}{
			{fmt.Sprintf("%d GETs of 1 GiB, each held to 5 MB/s, first %v", readers, readTime), slowReaders},
			{fmt.Sprintf("%d PUTs of 256 MiB at once", writers), manyWriters},
		} {
			// A new process, so that its peak is this load's.
			if err := s.Stop(); err != nil {
				return err
			}
			if err := s.Restart(b.ctx); err != nil {
				return err
			}
			began := time.Now()
			moved, err := load.run(s)
			if err != nil {
				return fmt.Errorf("%s: %w", load.name, err)
			}
			took := time.Since(began)
			peak, err := s.PeakMemory()
			if err != nil {
				return err
			}
			fmt.Printf("| %s | %.0f MB/s | %d MiB | %s |\n", load.name, float64(moved)/1e6/took.Seconds(), peak/mib,
				reached(fmt.Sprintf("< %d MiB", memoryAim/mib), memoryAim/float64(peak)))
		}
		return nil
	})
}

// slowReaders gets one object many times, at a pace, and gives up after some time.
func slowReaders(s *service.Service) (int64, error) {
	var moved atomic.Int64
	end := time.Now().Add(readTime)
	err := parallel(readers, func(int) error {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
		got, err := paced(conn, s.Addr, end)
		moved.Add(got)
		return err
	})
	if err == nil && moved.Load() < readers*readRate*int64(readTime/time.Second)/2 {
		err = fmt.Errorf("only %d MB came: the readers were not served at their pace", moved.Load()/1e6)
	}
	return moved.Load(), err
}

// paced reads an answer at readRate until the end of the time.
func paced(conn net.Conn, addr string, end time.Time) (int64, error) {
	if _, err := conn.Write(thin.New(addr, service.Admin, 0).Head(&thin.Request{Method: "GET", Path: "/memory/large"})); err != nil {
		return 0, err
	}
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	piece := make([]byte, 64<<10)
	var got int64
	for now := range tick.C {
		for due := int64(now.Sub(began).Seconds() * readRate); got < due; {
			n, err := conn.Read(piece)
			if got == 0 && n > 12 && string(piece[9:12]) != fmt.Sprint(http.StatusOK) {
				return 0, fmt.Errorf("answer: %.300q", piece[:n])
			}
			got += int64(n)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return got, nil
			}
			if err != nil {
				return got, err
			}
		}
		if !now.Before(end) {
			break
		}
	}
	return got, nil
}

// manyWriters puts different objects at once.
func manyWriters(s *service.Service) (int64, error) {
	err := parallel(writers, func(i int) error {
		c := thin.New(s.Addr, service.Admin, 10*time.Minute)
		defer c.Close()
		_, err := do(c, &thin.Request{
			Method: "PUT", Path: fmt.Sprintf("/memory/written-%d", i), Payload: thin.Unsigned, Length: writeSize,
			Stream: func(w io.Writer) error { return streamed(w, writeSize, uint64(i+1)<<56) },
		})
		return err
	})
	return writers * writeSize, err
}
