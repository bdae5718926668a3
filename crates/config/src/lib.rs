//! Settings: read, layered, validated, explained.
//!
//! Each capability owns its settings as a plain struct, declared once with [`settings!`].
//! From that declaration come the defaults, the documented default file, every error message
//! and the explanation where a value came from. Layers, lowest first: defaults, `tenfold.toml`,
//! the environment (`TENFOLD_SECTION_KEY`), flags (`section.key=value`). What is wrong in
//! any layer is told all at once.
//!
//! ```
//! use std::time::Duration;
//! use tenfold_config::{Environment, Known, Layers, at_least};
//!
//! tenfold_config::settings! {
//!     /// How patient the shop is.
//!     pub struct ShopSettings in "shop" {
//!         /// Time a customer may take to decide.
//!         #[check(at_least(Duration::from_secs(1)))]
//!         pub patience: Duration = Duration::from_secs(60),
//!         /// Words over the door.
//!         pub greeting: String = "welcome".to_owned(),
//!     }
//! }
//!
//! let mut known = Known::new();
//! known.section::<ShopSettings>();
//! let layers = Layers::new()
//!     .file_if_present("no-such-folder/tenfold.toml")
//!     .environment(&Environment::from_pairs([("TENFOLD_SHOP_PATIENCE", "2m")]))
//!     .flags(["shop.greeting=hello"]);
//!
//! let config = known.load(&layers)?;
//! let shop: ShopSettings = config.get();
//! assert_eq!(shop.patience, Duration::from_secs(120));
//! assert_eq!(config.explain()[0].origin.to_string(), "TENFOLD_SHOP_PATIENCE");
//!
//! let wrong = known.load(&Layers::new().flags(["shop.patience=soon", "shop.greting=hi"]));
//! assert_eq!(
//!     wrong.unwrap_err().to_string(),
//!     "--set shop.patience=soon: `shop.patience` is \"soon\": \
//!      a duration of at least 1s (such as 250ms, 2s or 1m) is needed\n\
//!      --set shop.greting=hi: unknown key `shop.greting`: did you mean `shop.greeting`?"
//! );
//! # Ok::<(), tenfold_config::ConfigErrors>(())
//! ```

mod byte_size;
mod check;
mod config;
mod default_file;
mod documented;
pub mod duration;
pub mod environment;
mod error;
mod explain;
mod file;
mod hint;
mod kinds;
mod known;
mod layers;
mod load;
mod mask;
mod problems;
mod secret;
mod setting;
pub mod settings;
mod slot;
mod suggest;
mod value;
#[doc(hidden)]
pub mod words;

pub use byte_size::{ByteSize, ParseByteSizeError};
pub use check::{Check, Range, at_least, at_most, between};
pub use config::Config;
pub use documented::Documented;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use explain::{Explained, Origin};
pub use hint::Hint;
pub use known::Known;
pub use layers::Layers;
pub use problems::Problems;
pub use secret::Secret;
pub use setting::Setting;
pub use settings::{Key, Section, Unfit};
pub use value::Value;
