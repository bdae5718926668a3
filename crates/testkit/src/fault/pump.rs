//! One direction of a connection: takes bytes in, holds a few, lets them out when the faults allow.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Flow, Shared, Side};

/// Bytes that are taken at once; times [`HELD_MAX`] they are what a direction holds.
const PIECE_BYTES: usize = 4096;

/// Pieces that a delay may hold back.
const HELD_MAX: usize = 16;

/// Passes on everything that comes, then the end of it.
pub(super) async fn pump(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    side: Side,
    shared: &Shared,
) -> io::Result<()> {
    let (held, coming) = mpsc::channel(HELD_MAX);
    tokio::try_join!(take(reader, held, side, shared), give(writer, coming, side, shared))?;
    Ok(())
}

/// A piece, and when it may arrive.
type Held = (Instant, Vec<u8>);

async fn take(
    mut reader: impl AsyncRead + Unpin,
    held: mpsc::Sender<Held>,
    side: Side,
    shared: &Shared,
) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let length = reader.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        piece.truncate(length);
        let due = Instant::now() + flow(side, shared).delay;
        if held.send((due, piece)).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
}

async fn give(
    mut writer: impl AsyncWrite + Unpin,
    mut coming: mpsc::Receiver<Held>,
    side: Side,
    shared: &Shared,
) -> io::Result<()> {
    while let Some((due, piece)) = coming.recv().await {
        tokio::time::sleep_until(due).await;
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            no_longer_stalled(side, shared).await;
            let limit = flow(side, shared).bytes_per_second;
            // A twentieth of a second's worth at a time, so that a crawl is a crawl and no stutter.
            let step = limit.map_or(PIECE_BYTES, |limit| (limit as usize / 20).max(1));
            let (now, later) = rest.split_at(step.min(rest.len()));
            write(&mut writer, now, side, shared).await?;
            if let Some(limit) = limit {
                let seconds = now.len() as f64 / f64::from(limit.max(1));
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            rest = later;
        }
    }
    no_longer_stalled(side, shared).await;
    writer.shutdown().await
}

/// Writes as much as may pass before the cut, and cuts when there is no more.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    side: Side,
    shared: &Shared,
) -> io::Result<()> {
    let way = shared.way(side);
    let claim = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(bytes.len() as u64));
    let allowed = match way.until_cut.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) {
        Ok(left) => bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
        Err(_) => bytes.len(),
    };
    writer.write_all(&bytes[..allowed]).await?;
    way.passed.fetch_add(allowed as u64, Ordering::Relaxed);
    if way.until_cut.compare_exchange(0, u64::MAX, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        // What passed must arrive: a reset throws away what the other end has not read yet.
        writer.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        shared.cut();
    }
    Ok(())
}

fn flow(side: Side, shared: &Shared) -> Flow {
    shared.faults.borrow().flow(side)
}

async fn no_longer_stalled(side: Side, shared: &Shared) {
    let mut faults = shared.faults.subscribe();
    // The sender lives as long as `shared`, so this cannot fail.
    let _ = faults.wait_for(|faults| !faults.flow(side).stalled).await;
}
