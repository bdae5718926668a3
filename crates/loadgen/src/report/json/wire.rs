//! How a type of ours looks in JSON: one list of fields for both ways.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::ending::Ending;

/// Something that is a piece of the report.
pub(super) trait Wire: Sized {
    /// How it is written.
    type Json: Serialize + DeserializeOwned;

    fn write(&self) -> Self::Json;

    /// Fails with what is wrong with it.
    fn read(json: Self::Json) -> Result<Self, String>;
}

/// Declares types by their fields; a key in quotes names the unit where the type holds it, and
/// `[default]` stands at what reports of the same version may lack, because it came later.
macro_rules! wire {
    ($($kind:ident { $($field:ident $($key:literal)? $([$default:ident])? : $type:ty),* $(,)? })*) => {$(
        const _: () = {
            #[derive(serde::Serialize, serde::Deserialize)]
            pub(in crate::report) struct Json {
                $($(#[serde(rename = $key)])? $(#[serde($default)])? $field: <$type as $crate::report::json::wire::Wire>::Json,)*
            }

            impl $crate::report::json::wire::Wire for $kind {
                type Json = Json;

                fn write(&self) -> Json {
                    Json { $($field: $crate::report::json::wire::Wire::write(&self.$field),)* }
                }

                fn read(json: Json) -> Result<Self, String> {
                    Ok(Self {
                        $($field: $crate::report::json::wire::Wire::read(json.$field)
                            .map_err(|why| format!("{}: {why}", stringify!($field)))?,)*
                    })
                }
            }
        };
    )*};
}

pub(super) use wire;

macro_rules! same {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Json = $type;

            fn write(&self) -> $type {
                self.clone()
            }

            fn read(json: $type) -> Result<$type, String> {
                Ok(json)
            }
        }
    )*};
}

same!(bool, u64, usize, String);

/// JSON has no infinity, so that is `null`.
impl Wire for f64 {
    type Json = Option<f64>;

    fn write(&self) -> Option<f64> {
        self.is_finite().then_some(*self)
    }

    fn read(json: Option<f64>) -> Result<f64, String> {
        Ok(json.unwrap_or(f64::INFINITY))
    }
}

/// In seconds.
impl Wire for Duration {
    type Json = f64;

    fn write(&self) -> f64 {
        self.as_secs_f64()
    }

    fn read(json: f64) -> Result<Duration, String> {
        Duration::try_from_secs_f64(json).map_err(|error| error.to_string())
    }
}

impl<T: Wire> Wire for Vec<T> {
    type Json = Vec<T::Json>;

    fn write(&self) -> Self::Json {
        self.iter().map(T::write).collect()
    }

    fn read(json: Self::Json) -> Result<Self, String> {
        json.into_iter().map(T::read).collect()
    }
}

/// Optional numbers are `null` or missing; an optional infinity is read back as none.
impl<T: Wire> Wire for Option<T> {
    type Json = Option<T::Json>;

    fn write(&self) -> Self::Json {
        self.as_ref().map(T::write)
    }

    fn read(json: Self::Json) -> Result<Self, String> {
        json.map(T::read).transpose()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    type Json = (A::Json, B::Json);

    fn write(&self) -> Self::Json {
        (self.0.write(), self.1.write())
    }

    fn read(json: Self::Json) -> Result<Self, String> {
        Ok((A::read(json.0)?, B::read(json.1)?))
    }
}

/// By its name.
impl Wire for Ending {
    type Json = String;

    fn write(&self) -> String {
        self.name().to_owned()
    }

    fn read(json: String) -> Result<Ending, String> {
        Ending::ALL
            .into_iter()
            .find(|ending| ending.name() == json)
            .ok_or_else(|| format!("{json:?} is no way to end"))
    }
}

/// HDR histogram, format V2, in base64: what every HDR tool reads.
impl Wire for Histogram<u64> {
    type Json = String;

    fn write(&self) -> String {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(self, &mut bytes)
            .expect("a vector takes every byte, and a histogram of ours is small enough");
        BASE64.encode(bytes)
    }

    fn read(json: String) -> Result<Histogram<u64>, String> {
        let bytes = BASE64.decode(json).map_err(|error| error.to_string())?;
        let mut histogram: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| format!("no histogram of HDR's: {error}"))?;
        histogram.auto(true);
        Ok(histogram)
    }
}
