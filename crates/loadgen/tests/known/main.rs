//! Searches and overloads against servers of known behaviour: what is found is compared with what
//! is true. A binary of its own, because it takes a minute by the clock, whatever the machine.

#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod limit;
mod overload;
mod servers;
mod stall;
