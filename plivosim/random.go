// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"fmt"
	"math/rand/v2"
)

const (
	upperDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	tokenChars  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

func newRNG(seed uint64) *rand.Rand {
	if seed == 0 {
		seed = rand.Uint64()
	}
	return rand.New(rand.NewPCG(seed, 0))
}

func (s *Server) randomText(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.rng.IntN(len(alphabet))]
	}
	return string(b)
}

// newID returns an auth_id in Plivo's form: MA or SA, then 18 characters.
func (s *Server) newID(prefix string) string { return prefix + s.randomText(upperDigits, 18) }

// newToken returns an auth_token of 40 printable characters.
func (s *Server) newToken() string {
	token := s.randomText(tokenChars, 40)
	s.tokens[token] = struct{}{}
	return token
}

func (s *Server) newUUID() string {
	a, b := s.rng.Uint64(), s.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
