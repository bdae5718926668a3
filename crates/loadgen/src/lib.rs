//! Offers load to any HTTP service by a clock that does not wait for it, and tells what came
//! back, when, and whether the generator itself can be believed.
//!
//! ```no_run
//! use std::time::Duration;
//! use tenfold_loadgen::{Ending, Run, Scenario, Schedule, Spacing};
//!
//! let scenario = Scenario::get("http://127.0.0.1:8080/products")?;
//! let load = Schedule::ramp(100.0, 2000.0, Duration::from_secs(20))
//!     .then(&Schedule::constant(2000.0, Duration::from_secs(40)))
//!     .spaced(Spacing::Poisson);
//! let outcome = Run::open(&scenario, load)
//!     .phases([("warm up", Duration::from_secs(20)), ("hold", Duration::from_secs(40))])
//!     .run()?;
//! let held = &outcome.record.phases[1].classes[0].first;
//! println!("{} of {} were good", held.count(Ending::Good), held.intended);
//! println!("{}", outcome.validity);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Open and closed.** In an open model ([`Run::open`]) requests come when they are due, as they
//! do from people who do not know each other; latency counts from the *intended* moment, so that
//! a stall is felt by all who came during it. In a closed model ([`Run::closed`]) each user waits
//! for an answer before the next request, so that a service which stalls is asked less, and its
//! stall is seen by a few alone.
//!
//! **A generator that tells on itself.** What it could not send in time is counted, never left
//! out: see [`Record::lag_us`], [`NotOffered`] and [`Validity`].
//!
//! It shares no code with the server of this workspace, so that neither can hide the other's
//! faults.

mod alarm;
mod arrival;
mod bottleneck;
mod connection;
mod ending;
mod engine;
mod fetch;
mod files;
mod follow;
mod http1;
mod http2;
mod limit;
mod live;
mod outcome;
mod overload;
mod plan;
mod probe;
mod record;
mod report;
mod run;
pub mod scenario;
mod scrape;
mod search;
mod settle;
mod tls;
mod usl;
mod validity;

pub use arrival::{Arrivals, RATE_MAX, Schedule, Spacing, TraceError, TraceErrors};
pub use bottleneck::{Bottleneck, Resource, Saturation};
pub use ending::{Ending, Failure, NotOffered};
pub use fetch::{Address, AddressError, FetchError};
pub use files::ConnectionsPossible;
pub use limit::{LimitError, LimitEvent, LimitOptions, LimitReport, Unrecovered, find};
pub use live::Snapshot;
pub use outcome::{Crossed, Outcome, Phase};
pub use overload::{
    ClassReport, Cold, ColdError, Flood, Latencies, OverloadBounds, OverloadError, OverloadEvent,
    OverloadOptions, OverloadReport, Pause, PauseError, PhaseReport, Recovery, Variants, past,
};
pub use probe::{Demand, ProbeReport, Trend, judge};
pub use record::{Bucket, Cause, Causes, ClassRecord, PhaseRecord, Record, Tally, Timeline};
pub use report::{
    Attempts, Change, ClassCourse, Comparison, Course, LoadError, Overload, ReadError, Report,
    RunReport, SaveError, Significance, Slice, Stretch,
};
pub use run::{Load, Run, RunError, Running, StartError, Stopper};
pub use scenario::{Scenario, ScenarioError, ScenarioErrors};
pub use scrape::{MetricsError, check_metrics};
pub use search::{Found, Search, SearchLimits, Step, Verdict};
pub use settle::Unloaded;
pub use usl::{Law, Point, Term};
pub use validity::{Limit, Shortfall, Validity};

/// Histograms as they are in a [`Record`], for whoever draws or stores them.
pub use hdrhistogram;

/// The most bytes of an answer that are kept where its body is looked at; a larger one is a
/// [`Failure::TooLarge`]. Bodies that nobody looks at have no bound.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
