// Package finding publishes verdicts: a [Finding] is a verdict about one host or one mail server of
// ours, with its reasons, its evidence (a [Session] each), what could not be seen, and what to do.
//
// Detection decides; this package does not. It does not write either: packages event and report do.
package finding
