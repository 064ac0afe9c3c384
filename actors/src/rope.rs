//! The bytes of a reply, in the pieces in which they were written.
//!
//! Cost: only short pieces are copied; the memory of a piece is freed once it is taken and written.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A byte string in pieces. Equality compares pieces, not contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rope {
    /// None of them is empty.
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Rope {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Prepends bytes.
    pub fn push_front(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_front(piece);
        }
    }

    /// Removes up to `most` bytes from the front; `None` if there are none. Short pieces are joined.
    pub fn take(&mut self, most: usize) -> Option<Bytes> {
        let first = self.pieces.front_mut()?;
        let mut taken = if first.len() > most { first.split_to(most) } else { self.pieces.pop_front()? };
        if taken.len() < most / 2 && !self.pieces.is_empty() {
            let mut together = BytesMut::with_capacity(most);
            together.extend_from_slice(&taken);
            while let Some(next) = self.pieces.front_mut().filter(|_| together.len() < most) {
                let len = next.len().min(most - together.len());
                together.extend_from_slice(&next.split_to(len));
                if next.is_empty() {
                    self.pieces.pop_front();
                }
            }
            taken = together.freeze();
        }
        self.len -= taken.len();
        Some(taken)
    }

    /// Returns all bytes as one slice, copied unless there is only one piece.
    pub fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() == 1 {
            return self.pieces.pop_front().unwrap_or_default();
        }
        let mut whole = Vec::with_capacity(self.len);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.into()
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Rope {
        Rope::from_iter([bytes])
    }
}

impl FromIterator<Bytes> for Rope {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Rope {
        let mut rope = Rope::default();
        pieces.into_iter().for_each(|piece| rope.push(piece));
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_bytes_equal_those_pushed() {
        let mut rope: Rope =
            ["cde", "", "f", "ghij"].map(|text| Bytes::from_static(text.as_bytes())).into_iter().collect();
        rope.push_front(Bytes::from_static(b"ab"));
        assert_eq!((rope.len(), rope.clone().into_bytes()), (10, Bytes::from_static(b"abcdefghij")));
        let mut taken = Vec::new();
        while let Some(piece) = rope.take(4) {
            assert!((1..=4).contains(&piece.len()));
            taken.extend_from_slice(&piece);
        }
        assert_eq!((taken.as_slice(), rope.len()), (&b"abcdefghij"[..], 0));
    }
}
