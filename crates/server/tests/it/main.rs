//! The server as its clients see it: real sockets, real protocols, scripted misbehaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod support;

mod admin;
mod answers;
mod bodies;
mod conformance;
mod drain;
mod drain_load;
mod extract;
mod hosts;
mod http2_frames;
mod layers;
mod limits;
mod logs;
mod offload;
mod overload;
mod protocols;
mod proxies;
mod shards;
mod streams;
mod tls;
mod upgrades;
