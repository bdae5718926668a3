//! What can be seen only from outside of a process.

mod signals;
