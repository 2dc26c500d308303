package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func (t *terminal) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.json, "json", false, "write JSON, for scripts")
}

func (t *terminal) printJSON(v any) error {
	enc := json.NewEncoder(t.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table writes rows under a heading, in columns. A list without rows says so.
func (t *terminal) table(empty string, heading []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(t.out, empty)
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heading, "\t"))
	for _, r := range rows {
		for i, cell := range r {
			r[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// facts writes names and values below each other; empty values are left out.
func (t *terminal) facts(pairs ...[2]string) error {
	w := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", p[0], printable(p[1]))
		}
	}
	return w.Flush()
}

// printable keeps control characters of stored names away from the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func showBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit && i < len("KMGTPE")-1; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[i])
}

func showQuota(n int64, show func(int64) string) string {
	if n == 0 {
		return "no limit"
	}
	return show(n)
}

func showCount(n int64) string { return strconv.FormatInt(n, 10) }

func showTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func showState(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "active"
}
