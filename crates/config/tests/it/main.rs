//! Settings as a service meets them: from layers to values, or to a list of what is wrong.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod errors;
mod faults;
mod fuzz;
mod golden;
mod kinds;
mod layers;
mod shop;
