//! All settings of a service, from every part that has some.

use std::path::PathBuf;

use tenfold_config::Known;
use tenfold_db::DatabaseSettings;
use tenfold_runtime::RuntimeSettings;
use tenfold_server::{AdminSettings, ServerSettings};
use tenfold_telemetry::log::LogSettings;

tenfold_config::settings! {
    /// The private Postgres that a service starts when it was built with one and
    /// `database.url` is not set.
    pub struct EmbeddedSettings in "embedded" {
        /// Folder that keeps its data. Without one the data is fresh at each start and gone at
        /// the end.
        pub data: Option<PathBuf> = None,
    }
}

/// Every setting that a service knows, in the order of the documented file.
pub fn known_settings() -> Known {
    let mut known = Known::new();
    known
        .section::<ServerSettings>()
        .section::<AdminSettings>()
        .section::<DatabaseSettings>()
        .section::<EmbeddedSettings>()
        .section::<RuntimeSettings>()
        .section::<LogSettings>();
    known
}
