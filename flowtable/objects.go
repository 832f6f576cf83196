package flowtable

import "iter"

// Objects holds Go objects to which entries of a table refer by number, because the entries hold no
// pointers. Number zero is no object.
type Objects[T any] struct {
	list  []*T
	owner []Ref // the entries that refer to them
	free  []uint32
	hand  uint32 // the number behind which Sample continues
}

// Add stores an object that the entry owner refers to, and returns its number.
func (o *Objects[T]) Add(v *T, owner Ref) uint32 {
	if n := len(o.free); n > 0 {
		i := o.free[n-1]
		o.free = o.free[:n-1]
		o.list[i], o.owner[i] = v, owner
		return i
	}
	if o.list == nil {
		o.list, o.owner = append(o.list, nil), append(o.owner, 0)
	}
	o.list, o.owner = append(o.list, v), append(o.owner, owner)
	return uint32(len(o.list) - 1)
}

// Remove removes an object; its number may be used again.
func (o *Objects[T]) Remove(i uint32) {
	o.list[i] = nil
	o.free = append(o.free, i)
}

// At is the object with a number, nil for zero.
func (o *Objects[T]) At(i uint32) *T {
	if i == 0 {
		return nil
	}
	return o.list[i]
}

// Valid reports whether Add has returned this number, be it for an object that was removed since.
func (o *Objects[T]) Valid(i uint32) bool { return i != 0 && uint64(i) < uint64(len(o.list)) }

// Owner is the entry that refers to an object.
func (o *Objects[T]) Owner(i uint32) Ref { return o.owner[i] }

// Owners yields the entries that refer to objects, in the order of the objects' numbers.
func (o *Objects[T]) Owners() iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		for i, v := range o.list {
			if v != nil && !yield(o.owner[i]) {
				return
			}
		}
	}
}

// Len is the number of objects.
func (o *Objects[T]) Len() int { return max(0, len(o.list)-1-len(o.free)) }

// Sample returns the owner of the next object, in turn around all numbers. There must be an object.
func (o *Objects[T]) Sample() Ref {
	for { // once around at most
		if o.hand++; o.hand >= uint32(len(o.list)) {
			o.hand = 1
		}
		if o.list[o.hand] != nil {
			return o.owner[o.hand]
		}
	}
}

// All calls f for every object.
func (o *Objects[T]) All(f func(v *T)) {
	for _, v := range o.list {
		if v != nil {
			f(v)
		}
	}
}
