//! A small seeded mutator for the short runs in `cargo test`: equal seeds give equal bytes on every machine.

use proscenium_engine::testing::Random;

/// Calls `target` with each text of `corpus`, then with `rounds` mutations of them.
pub fn run(corpus: &[Vec<u8>], rounds: u64, target: impl Fn(&[u8])) {
    for bytes in corpus {
        target(bytes);
    }
    let mut random = Random::new(1);
    let mut below = |bound: usize| random.below(bound.max(1));
    // Tokens that are special to some parser.
    let tokens: &[&[u8]] = &[
        b"\"",
        b"\\u0000",
        b"\\ud800",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"\n",
        b"\r",
        b"null",
        b"NaN",
        b"-",
        b"1e999",
        b"9223372036854775808",
        b"0x",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"2020-13-45",
        b"T25:61",
        b"__INDEX__",
        b"true",
    ];
    for _ in 0..rounds {
        let mut bytes = corpus[below(corpus.len())].clone();
        for _ in 0..1 + below(4) {
            let at = below(bytes.len() + 1);
            match below(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                2 => bytes.truncate(at),
                3 => {
                    let end = (at + 1 + below(16)).min(bytes.len());
                    bytes.drain(at.min(end)..end);
                }
                4 => {
                    let token = tokens[below(tokens.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
                _ => {
                    let other = &corpus[below(corpus.len())];
                    let from = below(other.len() + 1);
                    let until = (from + below(32)).min(other.len());
                    bytes.splice(at..at, other[from..until].iter().copied());
                }
            }
        }
        target(&bytes);
    }
}
