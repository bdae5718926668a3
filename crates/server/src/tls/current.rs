//! The certificates of this moment, which may be others in the next.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls_pki_types::ServerName;
use tenfold_telemetry::metrics::Registry;

use super::TlsError;
use super::build::{Built, Files};
use super::metrics::TlsMetrics;
use crate::settings::ServerSettings;

/// What every shard needs to speak TLS.
pub(crate) struct Tls {
    pub(super) files: Files,
    pub(super) metrics: TlsMetrics,
    /// Held for as long as it takes to count a reference.
    built: RwLock<Built>,
}

impl Tls {
    /// What the settings ask for; nothing if they ask for cleartext.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub(crate) fn load(
        settings: &ServerSettings,
        registry: &Registry,
    ) -> Result<Option<Arc<Tls>>, TlsError> {
        let Some(files) = Files::of(settings)? else { return Ok(None) };
        let built = RwLock::new(files.build(None)?);
        let tls = Arc::new(Tls { files, metrics: TlsMetrics::new(registry), built });
        let shown = Arc::downgrade(&tls);
        registry.gauge_with(
            "tenfold_tls_certificate_expires_timestamp_seconds",
            "When the first of the certificates expires, in seconds since 1970; 0 if none says so.",
            &[],
            move || {
                let expires = shown.upgrade().and_then(|tls| tls.read(|built| built.expires));
                expires.map_or(0.0, |expires| expires.as_secs_f64())
            },
        );
        Ok(Some(tls))
    }

    /// What a handshake that begins now goes by.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.read(|built| built.config.clone())
    }

    /// Whether there is a certificate for this name.
    pub(crate) fn holds_for(&self, name: &ServerName<'_>) -> bool {
        self.read(|built| built.certificates.clone()).hold_for(name)
    }

    /// Reads the files again. All of them are taken, or none: whatever is wrong is logged, and
    /// what was good goes on.
    pub(super) fn reload(&self) {
        let built = match self.read(|before| self.files.build(Some(before))) {
            Ok(built) => built,
            Err(error) => {
                self.metrics.failed.increment();
                return tracing::error!(
                    error = &error as &dyn Error,
                    "certificates not exchanged: the old ones stay"
                );
            }
        };
        let changed = self.read(|before| difference(before, &built));
        if changed.is_empty() {
            self.metrics.unchanged.increment();
            return tracing::info!("certificates read again: nothing has changed");
        }
        *self.built.write().unwrap_or_else(PoisonError::into_inner) = built;
        self.metrics.changed.increment();
        tracing::info!(files = changed.join(", "), "certificates exchanged");
    }

    fn read<T>(&self, look: impl FnOnce(&Built) -> T) -> T {
        // What is under the lock is replaced as a whole, so a poisoned one is sound still.
        look(&self.built.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The files that have another content.
fn difference(before: &Built, now: &Built) -> Vec<String> {
    let is_new = |file: &&(PathBuf, u64)| !before.prints.contains(file);
    now.prints.iter().filter(is_new).map(|(path, _)| path.display().to_string()).collect()
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
