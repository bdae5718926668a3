//! A service as whoever runs it sees it: a real process, its exit code, and what it says.

mod command_line;
mod logs;
mod mishaps;
mod stop;
mod support;
