// Package wire holds what all HTTP doors share: ranges, conditions, dates,
// request ids, and bodies that a slow or lying client cannot abuse. It knows
// the words of the house (object.Precondition) but no protocol above HTTP and
// no backend.
//
// Source: RFC 9110 (HTTP Semantics) unless a comment says otherwise.
package wire
