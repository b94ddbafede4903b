// SPDX-License-Identifier: Apache-2.0

package plan

// Fact is a value that is Known, Absent or Unknown. The zero value is Unknown.
type Fact[T any] struct {
	state factState
	value T
}

type factState int

const (
	unknown factState = iota
	absent
	known
)

// Known returns a fact with its value.
func Known[T any](value T) Fact[T] { return Fact[T]{state: known, value: value} }

// Absent returns the fact that there is no such thing.
func Absent[T any]() Fact[T] { return Fact[T]{state: absent} }

// Unknown returns the fact of a thing that the operator has not read, or could
// not read.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// IsUnknown says whether the fact is Unknown.
func (f Fact[T]) IsUnknown() bool { return f.state == unknown }

// IsAbsent says whether the fact is Absent.
func (f Fact[T]) IsAbsent() bool { return f.state == absent }

// Get returns the value and whether the fact is Known.
func (f Fact[T]) Get() (T, bool) { return f.value, f.state == known }

// Is says whether the fact is Known and has the given value.
func Is[T comparable](f Fact[T], value T) bool { return f.state == known && f.value == value }
