//go:build invariants

package invariant

// Enabled says that failed checks panic.
const Enabled = true
