//! Notices that files were exchanged: looks at them every few seconds, and at once when asked.
//!
//! It has a thread of its own, because a look at a file may block (a network drive), and nobody
//! who is served shall wait for that.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::current::Tls;

/// Looks at the files for as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    wake: SyncSender<()>,
    wish: Arc<Wish>,
}

/// What the thread shall do when it is woken.
#[derive(Debug, Default)]
struct Wish {
    read: AtomicBool,
    end: AtomicBool,
}

/// Has the files of the certificates read again, changed or not. A clone asks the same server.
#[derive(Clone, Debug)]
pub struct Reload {
    wake: SyncSender<()>,
    wish: Arc<Wish>,
}

impl Watch {
    /// Begins to look every `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(tls: Arc<Tls>, interval: Duration) -> io::Result<Watch> {
        // To be woken twice is to be woken.
        let (wake, woken) = sync_channel(1);
        let watch = Watch { wake, wish: Arc::default() };
        let (wish, seen) = (watch.wish.clone(), stamps(&tls));
        std::thread::Builder::new()
            .name("certificates".to_owned())
            .spawn(move || look(&tls, seen, &wish, &woken, interval))?;
        Ok(watch)
    }

    pub(crate) fn reload(&self) -> Reload {
        Reload { wake: self.wake.clone(), wish: self.wish.clone() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wish.end.store(true, Ordering::Release);
        // One that is full or closed needs no waking.
        let _ = self.wake.try_send(());
    }
}

impl Reload {
    /// Has the files read soon. What comes of it is in the log and the metrics.
    pub fn now(&self) {
        self.wish.read.store(true, Ordering::Release);
        // One that is full or closed needs no waking.
        let _ = self.wake.try_send(());
    }
}

/// The life of the thread.
fn look(
    tls: &Tls,
    mut seen: Vec<Option<Stamp>>,
    wish: &Wish,
    woken: &Receiver<()>,
    interval: Duration,
) {
    loop {
        let _woken_or_time = woken.recv_timeout(interval);
        if wish.end.load(Ordering::Acquire) {
            return;
        }
        // Before the reading: what changes during it is seen next time.
        let now = stamps(tls);
        // A set that was no good is not tried again until it changes: it would be no better, and
        // its error is in the log once.
        if wish.read.swap(false, Ordering::AcqRel) || now != seen {
            tls.reload();
        }
        seen = now;
    }
}

/// What tells one state of a file from another without reading it: the inode changes when a file
/// is replaced or a link points elsewhere (as Kubernetes does it), the time when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Of the content or the rights, in seconds and nanoseconds.
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn stamps(tls: &Tls) -> Vec<Option<Stamp>> {
    let stamp = |path: &Path| std::fs::metadata(path).ok().map(Stamp::from);
    tls.files.paths().map(stamp).collect()
}
