//! The server as its clients see it: real sockets, real protocols, scripted misbehaviour.

/// A server for a test, and what tests ask it.
mod support;

/// Health and metrics answer whatever happens to the shards.
mod admin;
/// Failures become problems that say what went wrong.
mod answers;
/// The end of serving loses no request.
mod drain;
/// Handlers' arguments, and what they say of input that does not fit.
mod extract;
/// What a connection may not do.
mod limits;
/// One line per request, under its name.
mod logs;
/// The door, and how long a request holds its place behind it.
mod overload;
/// Every way to speak HTTP.
mod protocols;
/// Bodies made of rows.
mod streams;
