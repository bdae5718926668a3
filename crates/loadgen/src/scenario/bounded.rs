//! Reads files that somebody names, up to a size: one that never ends, such as `/dev/zero`, must
//! not fill the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The text of a file that has no more than so many bytes.
///
/// # Errors
/// When it cannot be read, is no UTF-8, or is larger.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, bytes_max)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8"))
}

/// The contents of such a file.
pub(crate) fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What a file says of its own size is not asked: a device or a pipe has none.
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let why = format!("it is larger than {} MiB", bytes_max >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_size_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "x".repeat(1 << 20)).unwrap();
        assert_eq!(read_text(&file, 1 << 20).unwrap().len(), 1 << 20);
        std::fs::write(&file, "x".repeat((1 << 20) + 1)).unwrap();
        let large = read_text(&file, 1 << 20).unwrap_err();
        assert_eq!(large.to_string(), "it is larger than 1 MiB");
        std::fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_text(&file, 9).unwrap_err().to_string(), "it is no text in UTF-8");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_an_end_is_none() {
        let endless = read_text(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }
}
