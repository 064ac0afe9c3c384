//! Where the files of the page are: in a folder, or inside the binary.
//!
//! A packaged binary (`cargo package-binary`) contains each file once, compressed with brotli where that makes it smaller.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::tuning;

/// The files of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PageSource {
    /// There are none.
    #[default]
    Absent,
    /// Those of a folder, read when they are requested.
    Folder(PathBuf),
    /// Those inside the binary.
    Embedded(&'static [PageFile]),
}

/// A file of the page inside the binary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PageFile {
    /// Its path in the page's folder, with slashes.
    pub path: &'static str,
    /// Identifies its content.
    pub tag: &'static str,
    /// Whether `stored` is compressed with brotli.
    pub is_compressed: bool,
    /// The content.
    pub stored: &'static [u8],
}

impl fmt::Debug for PageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.stored.len())
    }
}

impl PageFile {
    /// The content as it was before it was compressed. Cost: O(its size).
    ///
    /// # Errors
    ///
    /// What is stored is not of its coding, which no test would pass.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        if !self.is_compressed {
            return Ok(self.stored.to_vec());
        }
        let mut content = Vec::new();
        brotli::Decompressor::new(self.stored, tuning::DECODE_PIECE_BYTES).read_to_end(&mut content)?;
        Ok(content)
    }
}

impl PageSource {
    /// Chooses the page when no folder was given: the one inside the binary, else `assets` beside it, else that of the
    /// build tree.
    pub fn find(embedded: &'static [PageFile]) -> PageSource {
        if !embedded.is_empty() {
            return PageSource::Embedded(embedded);
        }
        let binary = std::env::current_exe().ok();
        let Some(folder) = binary.as_deref().and_then(Path::parent) else { return PageSource::Absent };
        // In a build tree the binary is in target/release or target/debug, and the page in target/page.
        let candidates =
            [folder.join("assets"), folder.parent().map(|target| target.join("page")).unwrap_or_default()];
        let found = candidates.into_iter().find(|folder| folder.join("index.html").is_file());
        found.map_or(PageSource::Absent, PageSource::Folder)
    }

    /// The content of a file; `None` if the page has no such file. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            PageSource::Absent => Ok(None),
            PageSource::Folder(folder) => {
                let path = folder.join(path);
                if path.is_file() { std::fs::read(path).map(Some) } else { Ok(None) }
            }
            PageSource::Embedded(files) => {
                files.iter().find(|file| file.path == path).map(PageFile::content).transpose()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_inside_the_binary_is_read_as_it_was() {
        const TEXT: &[u8] = b"one one one one one one one one one one one one one";
        let mut compressed = Vec::new();
        let params = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut &TEXT[..], &mut compressed, &params).unwrap();
        let plain = PageFile { path: "a.txt", tag: "1", is_compressed: false, stored: TEXT };
        let small = PageFile { path: "b.txt", tag: "2", is_compressed: true, stored: compressed.leak() };
        let page = PageSource::Embedded(vec![plain, small].leak());
        for path in ["a.txt", "b.txt"] {
            assert_eq!(page.read(path).unwrap().as_deref(), Some(TEXT), "{path}");
        }
        assert_eq!(page.read("c.txt").unwrap(), None);
    }
}
