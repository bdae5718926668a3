//! How long single reads take, one after the other: of the smallest requests that there are, so
//! that what delays them is seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Error, Stopwatch};

/// As many as are read of, in turn.
const PRODUCTS: u64 = 10_000;

/// Long enough for anything but a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long reads took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Latencies {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Latencies {
    /// Reads for a while over one connection.
    pub(super) fn of(address: SocketAddr, duration: Duration) -> Result<Latencies, Error> {
        let mut reader = Reader::connect(address)?;
        let begun = Stopwatch::start();
        let mut took = Vec::new();
        while begun.elapsed() < duration {
            took.push(reader.read(took.len() as u64 * 7919 % PRODUCTS + 1)?);
        }
        Ok(Latencies::among(took))
    }

    /// A read over a connection of its own.
    pub(super) fn first(address: SocketAddr) -> Result<f64, Error> {
        let begun = Stopwatch::start();
        Reader::connect(address)?.read(1)?;
        Ok(milliseconds(begun))
    }

    fn among(mut took: Vec<f64>) -> Latencies {
        took.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = (took.len() as f64 * part) as usize;
            took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
        };
        Latencies { p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

struct Reader(BufReader<TcpStream>);

impl Reader {
    fn connect(address: SocketAddr) -> Result<Reader, Error> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Reader(BufReader::new(stream)))
    }

    /// One product; how long it took in milliseconds.
    fn read(&mut self, id: u64) -> Result<f64, Error> {
        let begun = Stopwatch::start();
        let request = format!("GET /products/{id} HTTP/1.1\r\nhost: store\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(format!("product {id} was answered with {line:?}").into());
        }
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err("an answer ended within its head".into());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        Ok(milliseconds(begun))
    }
}

fn milliseconds(begun: Stopwatch) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_slow_end() {
        let took = (0..200).map(f64::from).rev().collect();
        assert_eq!(Latencies::among(took), Latencies { p50_ms: 100.0, p99_ms: 198.0 });
        assert!(Latencies::among(vec![]).p50_ms.is_nan());
    }
}
