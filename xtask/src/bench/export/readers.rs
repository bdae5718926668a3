//! Readers of an export, as fast as it comes or slow, and the memory that the service takes for
//! them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Error, Stopwatch};

/// Long enough for anything but a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Slow readers read this often: the smaller the pieces, the smoother the load.
const PIECES_PER_SECOND: u32 = 10;

/// How often memory is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// An export that was read to its end.
#[derive(Debug, PartialEq)]
pub(super) struct Export {
    /// Each row has an `id` of its own, and begins with it.
    pub(super) rows: u64,
}

/// Reads a whole export as fast as it comes.
pub(super) fn read_whole(address: SocketAddr, path: &str) -> Result<Export, Error> {
    let mut stream = request(address, path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut counted = Counted::default();
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the export ended before its end".into());
        }
        if counted.saw_end(&buffer[..count]) {
            return Ok(Export { rows: counted.rows });
        }
    }
}

/// Counts the objects in the array of an answer in chunks.
#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    last: Vec<u8>,
}

impl Counted {
    /// The store's rows are flat, so each closing bracket is one; the texts in them have none.
    fn saw_end(&mut self, bytes: &[u8]) -> bool {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        self.rows += bytes.iter().filter(|byte| **byte == b'}').count() as u64;
        self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(END.len())..]);
        self.last.drain(..self.last.len().saturating_sub(END.len()));
        self.last == END
    }
}

fn request(address: SocketAddr, path: &str) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: store\r\n\r\n").as_bytes())?;
    Ok(stream)
}

/// Readers that each take so many bytes in a second, until they are stopped and hang up.
#[derive(Debug)]
pub(super) struct Readers {
    stopped: Arc<AtomicBool>,
    readers: Vec<JoinHandle<Result<(), String>>>,
}

impl Readers {
    pub(super) fn start(
        address: SocketAddr,
        path: &str,
        count: usize,
        bytes_per_second: usize,
    ) -> Result<Readers, Error> {
        let stopped = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let mut stream = request(address, path)?;
            let stopped = Arc::clone(&stopped);
            Ok(thread::spawn(move || {
                let mut piece = vec![0; bytes_per_second / PIECES_PER_SECOND as usize];
                let begun = Stopwatch::start();
                for pieces in 1_u32.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    stream.read_exact(&mut piece).map_err(|error| error.to_string())?;
                    let due = Duration::from_secs(1) / PIECES_PER_SECOND * pieces;
                    thread::sleep(due.saturating_sub(begun.elapsed()));
                }
                Ok(())
            }))
        };
        let readers = (0..count).map(start).collect::<Result<_, Error>>()?;
        Ok(Readers { stopped, readers })
    }

    /// Lets all hang up; fails if one could not read on until then.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.stopped.store(true, Ordering::Relaxed);
        for reader in self.readers {
            let read = reader.join().map_err(|_| "a reader panicked")?;
            read.map_err(|error| format!("a slow reader could not go on: {error}"))?;
        }
        Ok(())
    }
}

/// Watches the resident memory of a process.
#[derive(Debug)]
pub(super) struct Memory {
    before: u64,
    largest: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Result<Memory, Error> {
        let before = resident_kib(pid)?;
        let largest = Arc::new(AtomicU64::new(before));
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, end) = (Arc::clone(&largest), Arc::clone(&stopped));
        let watcher = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if let Ok(now) = resident_kib(pid) {
                    seen.fetch_max(now, Ordering::Relaxed);
                }
                thread::sleep(LOOK_PAUSE);
            }
        });
        Ok(Memory { before, largest, stopped, watcher })
    }

    /// By how much it has grown at the most.
    pub(super) fn grown_mib(self) -> Result<f64, Error> {
        self.stopped.store(true, Ordering::Relaxed);
        self.watcher.join().map_err(|_| "the watcher panicked")?;
        Ok((self.largest.load(Ordering::Relaxed) - self.before) as f64 / 1024.0)
    }
}

fn resident_kib(pid: u32) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| format!("process {pid} has no resident memory").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_up_to_the_end() {
        let mut counted = Counted::default();
        assert!(!counted.saw_end(b"HTTP/1.1 200 OK\r\n\r\n10\r\n[{\"id\":1},\n"));
        assert!(!counted.saw_end(b"{\"id\":2}]\r\n0"));
        assert!(!counted.saw_end(b"\r\n"));
        assert!(counted.saw_end(b"\r\n"));
        assert_eq!(counted.rows, 2);
    }

    #[test]
    fn memory_that_is_taken_is_seen() {
        let memory = Memory::of(std::process::id()).unwrap();
        let taken = vec![1_u8; 64 << 20];
        thread::sleep(LOOK_PAUSE * 10);
        assert_eq!(taken.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 << 20);
        let grown = memory.grown_mib().unwrap();
        assert!((50.0..200.0).contains(&grown), "{grown}");
    }
}
