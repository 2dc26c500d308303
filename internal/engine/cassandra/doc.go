// Package cassandra keeps the four stores on Apache Cassandra 5.0. Each store
// has a cluster, keyspace and consistency of its own; no protocol needs an
// atomic step across two stores.
//
// Rules that everything rests on:
//
//  1. A row is written either only by lightweight transactions (LWT) or only
//     with explicit timestamps. A plain write beside an LWT breaks the LWT.
//  2. Paxos works per partition: what is under LWT has a partition of its own.
//  3. Equal timestamps merge cell by cell: two different values are never
//     written to one row with one timestamp.
//  4. Write, then look: two parties that each write their own flag at quorum
//     and then read the other's at quorum cannot both miss the other.
//  5. A write that timed out is unknown, never failed. Statements with a timestamp are
//     repeated; an LWT is settled by a serial read that looks for the writer's own mark.
//
// Every statement is a value of type statement, whose class says how much of the cluster it touches; on a request's path none reads
// more than one partition.
package cassandra
