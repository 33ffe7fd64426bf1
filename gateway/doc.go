// Package gateway stands in front of a devpi server and lets a pass do what its
// limits say, and nothing else.
//
// It does not know where passes are kept or how they are minted: that is handed
// in as functions. It knows devpi's addresses, forms and answers, and those of
// devpi-tokens, whose endpoints it serves itself.
package gateway
