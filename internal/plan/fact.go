package plan

// Fact is something that is Known with a value, known to be Absent, or
// Unknown. The zero value is Unknown.
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

// Known is a fact with its value.
func Known[T any](value T) Fact[T] { return Fact[T]{state: known, value: value} }

// Absent says that the thing is known not to be there.
func Absent[T any]() Fact[T] { return Fact[T]{state: absent} }

// Unknown says that nobody has looked, or that the look told nothing.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// IsUnknown says whether nothing is known.
func (f Fact[T]) IsUnknown() bool { return f.state == unknown }

// IsAbsent says whether the thing is known not to be there.
func (f Fact[T]) IsAbsent() bool { return f.state == absent }

// Get returns the value and whether it is known.
func (f Fact[T]) Get() (T, bool) { return f.value, f.state == known }

// Is says whether the fact is known and has the given value.
func Is[T comparable](f Fact[T], value T) bool { return f.state == known && f.value == value }
