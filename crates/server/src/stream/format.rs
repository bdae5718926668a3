//! How rows are written: as a JSON array, a line each, CSV, or as they are.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::BoxError;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

/// A form for rows. Writing one allocates nothing, once the chunk has grown to its size.
pub(super) trait Format<T> {
    /// What stands before the first row.
    fn begin(&mut self, _chunk: &mut BytesMut) {}
    /// One row, with what stands between it and the one before.
    fn row(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError>;
    /// What stands after the last row.
    fn end(&mut self, _chunk: &mut BytesMut) {}
}

pub(super) struct JsonArray {
    first: bool,
}

impl JsonArray {
    pub(super) fn new() -> JsonArray {
        JsonArray { first: true }
    }
}

impl<T: Serialize> Format<T> for JsonArray {
    fn begin(&mut self, chunk: &mut BytesMut) {
        chunk.put_u8(b'[');
    }

    fn row(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        if !mem::take(&mut self.first) {
            chunk.put_slice(b",\n");
        }
        Ok(serde_json::to_writer(chunk.writer(), row)?)
    }

    fn end(&mut self, chunk: &mut BytesMut) {
        chunk.put_u8(b']');
    }
}

pub(super) struct Ndjson;

impl<T: Serialize> Format<T> for Ndjson {
    fn row(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        serde_json::to_writer((&mut *chunk).writer(), row)?;
        chunk.put_u8(b'\n');
        Ok(())
    }
}

/// The writer lives as long as the body, and its buffers with it. It owns what it writes to, so
/// that is shared: from there a row is copied into the chunk.
pub(super) struct Csv {
    writer: csv::Writer<Written>,
    written: Written,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Csv {
    pub(super) fn new() -> Csv {
        let written = Written::default();
        Csv { writer: csv::Writer::from_writer(written.clone()), written }
    }
}

impl<T: Serialize> Format<T> for Csv {
    fn row(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        self.writer.serialize(row)?;
        self.writer.flush()?;
        let mut written = self.written.bytes();
        chunk.put_slice(&written);
        written.clear();
        Ok(())
    }
}

impl Written {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What has its form already.
pub(super) struct Raw;

impl Format<Bytes> for Raw {
    fn row(&mut self, chunk: &mut BytesMut, row: &Bytes) -> Result<(), BoxError> {
        chunk.put_slice(row);
        Ok(())
    }
}
