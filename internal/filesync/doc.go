// Package filesync keeps a folder and a container, or what lies below a prefix
// in it, equal in both directions.
//
// A round has four steps. A scan says what the folder holds; a mirror, fed by
// the service's list of changes, says what the container holds; the state, a
// database, says what both held when they were last known to be equal. NewPlan
// compares the three, name by name, and is a pure function. The executor does
// what the plan says, each step under a condition: a remote change demands that
// the object is still the one that was seen, a local one that the file is.
// What does not hold any more is left for the next round. So a process may be
// killed, or the network cut, between any two steps: the next round finds the
// two sides as they are, and goes on.
//
// Nothing is overwritten unseen. When both sides changed a file, the local one
// becomes a conflict copy beside it. Files that are replaced or deleted here
// were on the service before, whose versions are the trash.
package filesync
