package main

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"pithos/client"
)

// meter shows how far a transfer is: as a bar on a terminal, as lines of JSON for scripts, else not at all.
type meter struct {
	t    *terminal
	name string
	bar  *progressbar.ProgressBar
	last time.Time
}

// How often progress is told.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = time.Second
)

// event is a line of JSON about a transfer.
type event struct {
	Event string `json:"event"` // "progress" or "done"
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`          // of the object
	Done  int64  `json:"done"`           // bytes that are in place
	Moved int64  `json:"moved"`          // bytes that went over the network
	Saved int64  `json:"saved"`          // bytes that did not have to, since the other side had them
	Parts int    `json:"blocks"`         // of the object
	Sent  int    `json:"sent"`           // blocks that went over the network
	Hash  string `json:"hash,omitempty"` // root hash, when done
	File  string `json:"file,omitempty"` // of a download, where it went
}

// onTerminal tells whether what is written to w is seen by a person.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// transfer gives the options of a transfer that shows itself, and the function that ends the show.
func (t *terminal) transfer(name string) (client.Transfer, func()) {
	m := &meter{t: t, name: name}
	switch {
	case t.json:
		return client.Transfer{Progress: m.line}, func() {}
	case t.bars:
		return client.Transfer{Progress: m.draw}, m.end
	}
	return client.Transfer{}, func() {}
}

func (m *meter) line(done, total, moved int64) {
	if at := now(); done == total || at.Sub(m.last) >= lineEvery {
		m.last = at
		_ = m.t.jsonLine(event{Event: "progress", Name: m.name, Bytes: total, Done: done, Moved: moved}) // the end of the transfer tells that nobody reads
	}
}

func (m *meter) draw(done, total, _ int64) {
	if m.bar == nil {
		m.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(m.t.err), progressbar.OptionSetDescription(printable(m.name)),
			progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowTotalBytes(true), progressbar.OptionSetRenderBlankState(true))
	}
	_ = m.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
}

func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Clear()
		_ = m.bar.Exit()
	}
}

// jsonLine writes one line of JSON.
func (t *terminal) jsonLine(v any) error { return json.NewEncoder(t.out).Encode(v) }

// done is the line of JSON about a finished transfer.
func done(name, file string, r client.Report) event {
	return event{Event: "done", Name: name, File: file, Bytes: r.Bytes, Done: r.Bytes, Moved: r.Moved, Saved: r.Bytes - r.Moved, Parts: r.Blocks, Sent: r.Sent, Hash: r.Hash}
}

// saved tells what of a transfer was not needed.
func saved(r client.Report) string {
	if r.Moved >= r.Bytes {
		return ""
	}
	return ", saved " + showBytes(r.Bytes-r.Moved)
}
