//! Certificates are renewed while the service runs, every few hours where a machine does it: the
//! next connection is made with those that are there then.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::{Tls, TlsError, TlsWishes};

/// What handshakes need, read anew when a file of it has changed.
#[derive(Debug)]
pub(crate) struct KeptTls {
    wishes: TlsWishes,
    read: RwLock<Read>,
}

#[derive(Debug)]
struct Read {
    stamps: Stamps,
    tls: Arc<Tls>,
}

/// What a file has that changes with its content, whether it is written or replaced.
type Stamps = [Option<(SystemTime, u64, u64)>; 3];

impl KeptTls {
    pub(crate) fn new(wishes: TlsWishes) -> Result<KeptTls, TlsError> {
        let stamps = stamps(&wishes);
        let tls = Arc::new(wishes.read()?);
        Ok(KeptTls { wishes, read: RwLock::new(Read { stamps, tls }) })
    }

    /// As the files are now. What cannot be used (they may just be half replaced) is complained
    /// about, and what was there before stays in use until they can be.
    pub(crate) fn current(&self) -> Arc<Tls> {
        let stamps = stamps(&self.wishes);
        {
            let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
            if read.stamps == stamps {
                return Arc::clone(&read.tls);
            }
        }
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        match self.wishes.read() {
            Ok(tls) => *read = Read { stamps, tls: Arc::new(tls) },
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "changed certificates not used"
            ),
        }
        Arc::clone(&read.tls)
    }
}

fn stamps(wishes: &TlsWishes) -> Stamps {
    let stamp = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    let TlsWishes { root_certificates, certificate, key, .. } = wishes;
    [root_certificates, certificate, key].map(|path| path.as_deref().and_then(stamp))
}
