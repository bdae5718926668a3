//! What other programs make of us: `promtool` of the metrics, `pino-pretty` of the lines; and
//! the log of a whole process.

mod panic;
mod pino_pretty;
mod promtool;
