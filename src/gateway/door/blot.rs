//! Takes the provider's key out of an answer, wherever a piece of it ends.

use bytes::{Bytes, BytesMut};
use secrecy::{ExposeSecret, SecretString};

/// What stands where the key was.
const BLOT: &[u8] = b"[key]";

/// Passes an answer on, piece by piece, without the key. A piece in which nothing begins that could be the key is passed
/// on as it is, without being copied.
pub(super) struct Blotter {
    key: SecretString,
    /// The beginning of what may be the key, from the end of the last piece.
    held: BytesMut,
}

impl Blotter {
    pub(super) fn of(key: &SecretString) -> Self {
        Self { key: key.clone(), held: BytesMut::new() }
    }

    /// What of this piece, and of what was held back, may be passed on.
    pub(super) fn pass(&mut self, piece: Bytes) -> Bytes {
        let key = self.key.expose_secret().as_bytes();
        if key.is_empty() {
            return piece;
        }
        let piece = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            self.held.split().freeze()
        };
        let mut rest = piece.clone();
        let mut passed = BytesMut::new();
        let mut found = false;
        while let Some(at) = position(&rest, key) {
            passed.extend_from_slice(rest.get(..at).unwrap_or_default());
            passed.extend_from_slice(BLOT);
            rest = rest.slice(at + key.len()..);
            found = true;
        }
        let held = overlap(&rest, key);
        let sure = rest.len() - held;
        self.held.extend_from_slice(rest.get(sure..).unwrap_or_default());
        if found {
            passed.extend_from_slice(rest.get(..sure).unwrap_or_default());
            passed.freeze()
        } else {
            piece.slice(..sure)
        }
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

fn position(text: &[u8], key: &[u8]) -> Option<usize> {
    text.windows(key.len()).position(|window| window == key)
}

/// How many bytes at the end of `text` are the beginning of `key`.
fn overlap(text: &[u8], key: &[u8]) -> usize {
    let longest = text.len().min(key.len().saturating_sub(1));
    let begins = |length: &usize| key.get(..*length).is_some_and(|beginning| text.ends_with(beginning));
    (1..=longest).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(text: &str, pieces: usize) -> String {
        let mut blotter = Blotter::of(&SecretString::from("sk-sk-key"));
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(pieces) {
            out.extend_from_slice(&blotter.pass(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&blotter.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_key_is_taken_out_however_it_is_cut() {
        for pieces in 1..30 {
            assert_eq!(passed("a sk-sk-key, sk-sk-sk-keysk-sk-key.", pieces), "a [key], sk-[key][key].");
            assert_eq!(passed("nothing sk-sk here sk-sk-ke", pieces), "nothing sk-sk here sk-sk-ke");
        }
    }
}
