//! A connection that has become something else than HTTP, as a rule a WebSocket. hyper is done
//! with it and a handler has it, so nobody knows what its bytes mean: what can be seen is whether
//! any come or go. One on which none do is ended at its next read or write.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tenfold_context::Moment;
use tokio::sync::{Notify, watch};

use crate::drain::{self, Phase};
use crate::metrics::Cut;

/// What its socket and its watcher know of each other.
#[derive(Debug)]
pub(crate) struct Upgraded {
    /// When a byte was read or written last, in nanoseconds of [`Moment`].
    last: AtomicU64,
    /// Why it was ended.
    ended: OnceLock<Cut>,
    /// Those who wait for bytes, and for room for bytes; they may be two tasks.
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// Its handler has let go of the socket.
    gone: Notify,
}

/// How long such a connection may be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    /// With no byte in either direction.
    pub(crate) idle_max: Duration,
    /// At all; a tenth more or less by chance, so that those who came together do not have to come
    /// back together.
    pub(crate) age_max: Duration,
}

/// What somebody wants to do with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Read,
    Write,
}

impl Upgraded {
    pub(crate) fn new(now: Moment) -> Upgraded {
        Upgraded {
            last: AtomicU64::new(now.as_nanos()),
            ended: OnceLock::new(),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            gone: Notify::new(),
        }
    }

    /// Bytes have come or gone.
    pub(crate) fn moved(&self, now: Moment) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Whether the socket may still be used. Who does is woken when it may not any more.
    pub(crate) fn allows(&self, wish: Wish, cx: &Context<'_>) -> io::Result<()> {
        match wish {
            Wish::Read => self.reader.register(cx.waker()),
            Wish::Write => self.writer.register(cx.waker()),
        }
        match self.ended.get() {
            None => Ok(()),
            Some(cut) => Err(io::Error::new(io::ErrorKind::TimedOut, Ended(*cut))),
        }
    }

    /// The socket is no more.
    pub(crate) fn is_gone(&self) {
        self.gone.notify_one();
    }

    /// Watches it to its end: the handler's own, or the one that it gets because nothing has moved
    /// on it for so long, or it is so old, or the drain is over.
    pub(crate) async fn watch(
        &self,
        stay: Stay,
        mut phase: watch::Receiver<Phase>,
    ) -> Result<(), Cut> {
        let old = Moment::now() + stay.age_max.mul_f64(0.9 + 0.2 * fastrand::f64());
        let cut = loop {
            let now = Moment::now();
            let idle = Moment::from_nanos(self.last.load(Ordering::Relaxed)) + stay.idle_max;
            if now >= idle {
                break Cut::UpgradedIdle;
            }
            if now >= old {
                break Cut::UpgradedAge;
            }
            tokio::select! {
                () = self.gone.notified() => return Ok(()),
                () = tokio::time::sleep_until(idle.min(old).instant()) => {}
                next = drain::next(&mut phase) => if next == Phase::Ended {
                    break Cut::Drain;
                },
            }
        };
        self.ended.get_or_init(|| cut);
        self.reader.wake();
        self.writer.wake();
        Err(cut)
    }
}

/// What a handler is told whose connection was ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection was ended, because of the limit {}", .0.reason())]
struct Ended(Cut);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::task::noop_waker_ref;

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const STAY: Stay = Stay { idle_max: IDLE, age_max: Duration::from_secs(60) };

    fn allowed(upgraded: &Upgraded) -> bool {
        let cx = Context::from_waker(noop_waker_ref());
        let may = [Wish::Read, Wish::Write].map(|wish| upgraded.allows(wish, &cx).is_ok());
        assert_eq!(may[0], may[1]);
        may[0]
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_has_moved_for_so_long() {
        let (_server, phase) = watch::channel(Phase::Serving);
        let upgraded = Upgraded::new(Moment::now());
        let mut watched = Box::pin(upgraded.watch(STAY, phase));
        for _ in 0..5 {
            assert!((&mut watched).now_or_never().is_none() && allowed(&upgraded));
            tokio::time::sleep(IDLE * 9 / 10).await;
            upgraded.moved(Moment::now());
        }
        let moved = Moment::now();
        assert_eq!(watched.await, Err(Cut::UpgradedIdle));
        assert!(Moment::now().since(moved) >= IDLE && !allowed(&upgraded));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_is_old_however_much_it_is_used() {
        let (_server, phase) = watch::channel(Phase::Serving);
        let (upgraded, begun) = (Upgraded::new(Moment::now()), Moment::now());
        let use_it = async {
            loop {
                tokio::time::sleep(IDLE / 2).await;
                upgraded.moved(Moment::now());
            }
        };
        tokio::select! {
            ended = upgraded.watch(STAY, phase) => assert_eq!(ended, Err(Cut::UpgradedAge)),
            () = use_it => {}
        }
        let age = Moment::now().since(begun);
        assert!(age >= STAY.age_max * 9 / 10 && age <= STAY.age_max * 12 / 10, "{age:?}");
        assert!(!allowed(&upgraded));
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_ends_it_when_its_time_is_over_and_not_before() {
        let (server, phase) = watch::channel(Phase::Serving);
        let upgraded = Upgraded::new(Moment::now());
        let mut watched = Box::pin(upgraded.watch(STAY, phase));
        server.send_replace(Phase::Draining);
        assert!((&mut watched).now_or_never().is_none() && allowed(&upgraded));
        server.send_replace(Phase::Ended);
        assert_eq!(watched.await, Err(Cut::Drain));
        assert!(!allowed(&upgraded));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_watches_what_is_gone() {
        let (_server, phase) = watch::channel(Phase::Serving);
        let upgraded = Upgraded::new(Moment::now());
        upgraded.is_gone();
        assert_eq!(upgraded.watch(STAY, phase).now_or_never(), Some(Ok(())));
    }
}
