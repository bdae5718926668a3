//! Work that is done, refused, given up, and that goes wrong.
