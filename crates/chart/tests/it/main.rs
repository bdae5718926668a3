//! Pictures as their readers get them: the text of small ones, and what must hold for any.

mod golden;
mod properties;
