//! Listens for the wish that the process end: the first is granted in an orderly way, the
//! second at once.

use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::watch;

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: what a supervisor sends.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

impl Signal {
    /// Its name, as in `kill -l`.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a process that it ended: 128 and its number, as shells have it.
    pub const fn exit_code(self) -> i32 {
        128 + match self {
            Signal::Terminate => SignalKind::terminate().as_raw_value(),
            Signal::Interrupt => SignalKind::interrupt().as_raw_value(),
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The ear for signals. From [`Signals::listen`] on, they no longer end the process by
/// themselves, not even after this is dropped: the first never, the second always.
#[derive(Clone, Debug)]
pub struct Signals {
    first: watch::Receiver<Option<Signal>>,
}

impl Signals {
    /// Begins to listen. Once per process, because each ear counts for itself.
    ///
    /// A thread of its own listens, so that the second signal is heard even when everything
    /// else blocks.
    ///
    /// # Errors
    /// When the system gives no thread, no event queue, or no signals.
    pub fn listen() -> std::io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let streams = {
            let _within = runtime.enter();
            Streams {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            }
        };
        let (told, first) = watch::channel(None);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || attend(&runtime, streams, &told))?;
        Ok(Signals { first })
    }

    /// Waits for the first signal; later calls get the same one at once.
    pub async fn first(&self) -> Signal {
        let mut first = self.first.clone();
        match first.wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            Ok(None) | Err(_) => unreachable!("the listening thread ends with the process"),
        }
    }
}

/// The ear for SIGHUP, which asks a service to read its files again. From [`Hangups::listen`] on,
/// a terminal that closes no longer ends the process.
#[derive(Debug)]
pub struct Hangups(Stream);

impl Hangups {
    /// Begins to listen, on the current runtime.
    ///
    /// # Errors
    /// When the system gives no signals.
    pub fn listen() -> std::io::Result<Hangups> {
        signal(SignalKind::hangup()).map(Hangups)
    }

    /// Waits for the next one. Those that came meanwhile are one.
    pub async fn next(&mut self) {
        // There is always a next one: the stream ends with its runtime, on which this waits.
        let _ = self.0.recv().await;
    }
}

struct Streams {
    terminate: Stream,
    interrupt: Stream,
}

impl Streams {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// The life of the listening thread.
fn attend(runtime: &Runtime, mut streams: Streams, told: &watch::Sender<Option<Signal>>) {
    let first = runtime.block_on(streams.next());
    // If nobody waits for it, the second one ends the process all the same.
    told.send_replace(Some(first));
    let second = runtime.block_on(streams.next());
    std::process::exit(second.exit_code());
}
