//! Pairbot, the library behind the one binary.
