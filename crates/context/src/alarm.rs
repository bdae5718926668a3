//! Ends waits at their deadlines, many of them with one timer: nearly every wait is over long
//! before, and a timer of its own would cost more than the rest of its bookkeeping.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::{Deadline, Moment};

/// Looks every 10 ms whose deadline has passed, and sleeps when nobody waits.
///
/// The waits may be those of other runtimes, but they end only as long as the runtime goes on
/// on which the alarm was started.
#[derive(Debug)]
pub struct Alarm {
    clock: Arc<Clock>,
    ticker: AbortHandle,
}

/// The deadline came before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

impl Alarm {
    /// How much later than its deadline a wait may end.
    pub const TICK: Duration = Duration::from_millis(10);

    /// An alarm that ticks on the current runtime.
    pub fn start() -> Alarm {
        let clock = Arc::new(Clock::default());
        let ticker = tokio::spawn(tick(clock.clone())).abort_handle();
        Alarm { clock, ticker }
    }

    /// Waits for `future`, but not longer than until the deadline, give or take a
    /// [`TICK`](Alarm::TICK).
    ///
    /// # Errors
    /// [`Late`] if the deadline came first.
    pub fn until<F: Future>(&self, deadline: Deadline, future: F) -> Until<'_, F> {
        Until { future, deadline, wait: None, clock: &self.clock }
    }

    /// Has all that is waited for looked at again: something has changed that it does not wait
    /// for.
    pub fn wake(&self) {
        let waits = self.clock.waits();
        let wakers = waits.places.iter().filter_map(|place| match place {
            Place::Waiting(_, waker) => Some(waker.clone()),
            Place::Free | Place::Over => None,
        });
        let wakers: Vec<_> = wakers.collect();
        drop(waits);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

pin_project_lite::pin_project! {
    /// What [`Alarm::until`] gives.
    #[must_use = "nothing happens until it is awaited"]
    pub struct Until<'a, F> {
        #[pin]
        future: F,
        deadline: Deadline,
        wait: Option<Wait<'a>>,
        clock: &'a Clock,
    }
}

impl<F: Future> Future for Until<'_, F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match this.wait {
            Some(wait) if wait.is_over(cx.waker()) => Poll::Ready(Err(Late)),
            Some(_) => Poll::Pending,
            None => {
                *this.wait = Some(this.clock.wait(*this.deadline, cx.waker()));
                Poll::Pending
            }
        }
    }
}

/// Everybody who waits, and whether anybody is looking at the time.
#[derive(Debug, Default)]
struct Clock {
    waits: Mutex<Waits>,
    first: Notify,
}

#[derive(Debug, Default)]
struct Waits {
    places: Vec<Place>,
    /// The places in which nobody waits.
    free: Vec<usize>,
    /// Whether the ticker has gone to sleep.
    asleep: bool,
}

#[derive(Debug)]
enum Place {
    Free,
    Waiting(Deadline, Waker),
    Over,
}

impl Clock {
    fn wait(&self, deadline: Deadline, waker: &Waker) -> Wait<'_> {
        let mut waits = self.waits();
        let place = Place::Waiting(deadline, waker.clone());
        let number = match waits.free.pop() {
            Some(number) => {
                waits.places[number] = place;
                number
            }
            None => {
                waits.places.push(place);
                waits.places.len() - 1
            }
        };
        if std::mem::take(&mut waits.asleep) {
            self.first.notify_one();
        }
        Wait { clock: self, number }
    }

    /// Ends the waits whose deadline has passed; whether there are any at all.
    fn ring(&self, now: Moment) -> bool {
        let mut waits = self.waits();
        let mut over = Vec::new();
        for place in &mut waits.places {
            if matches!(place, Place::Waiting(deadline, _) if deadline.is_past(now))
                && let Place::Waiting(_, waker) = std::mem::replace(place, Place::Over)
            {
                over.push(waker);
            }
        }
        let any = waits.free.len() < waits.places.len();
        drop(waits);
        // Out of the lock: what is woken may take it.
        over.into_iter().for_each(Waker::wake);
        any
    }

    /// Whether the ticker may sleep until somebody comes.
    fn falls_asleep(&self) -> bool {
        let mut waits = self.waits();
        waits.asleep = waits.free.len() == waits.places.len();
        waits.asleep
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        // Nothing under the lock panics half-way, so a poisoned one is sound still.
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait; free again when dropped.
struct Wait<'a> {
    clock: &'a Clock,
    number: usize,
}

impl Wait<'_> {
    /// Whether the deadline has passed; if not, `waker` hears of it when it does.
    fn is_over(&self, waker: &Waker) -> bool {
        match &mut self.clock.waits().places[self.number] {
            Place::Waiting(_, known) => {
                known.clone_from(waker);
                false
            }
            Place::Free | Place::Over => true,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.clock.waits();
        let place = std::mem::replace(&mut waits.places[self.number], Place::Free);
        waits.free.push(self.number);
        drop(waits);
        // Out of the lock: with the waker a whole task may go.
        drop(place);
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({})", self.number)
    }
}

/// Ticks while somebody waits, and for a while after that: a service with one request at a time
/// must not wake this for each of them.
async fn tick(clock: Arc<Clock>) {
    const QUIET_TICKS_MAX: u32 = 100;
    let mut quiet_ticks = 0;
    loop {
        tokio::time::sleep(Alarm::TICK).await;
        quiet_ticks = if clock.ring(Moment::now()) { 0 } else { quiet_ticks + 1 };
        if quiet_ticks >= QUIET_TICKS_MAX && clock.falls_asleep() {
            clock.first.notified().await;
            quiet_ticks = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LATE: Duration = Duration::from_millis(11);

    fn after(millis: u64) -> Deadline {
        Deadline::after(Duration::from_millis(millis))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_never_late() {
        let alarm = Alarm::start();
        assert_eq!(alarm.until(after(0), ready(7)).await, Ok(7));
        assert!(alarm.clock.waits().places.is_empty(), "nobody had to wait");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_deadline_and_not_before() {
        let alarm = Alarm::start();
        for patience in [0, 1, 95, 5_000] {
            let (begun, deadline) = (Moment::now(), after(patience));
            assert_eq!(alarm.until(deadline, pending::<()>()).await, Err(Late));
            let (waited, patience) = (Moment::now().since(begun), Duration::from_millis(patience));
            assert!(waited >= patience && waited <= patience + LATE, "{patience:?}: {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_a_deadline_of_its_own() {
        let alarm = Alarm::start();
        let answer = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        let (late, in_time) =
            tokio::join!(alarm.until(after(20), pending::<()>()), alarm.until(after(90), answer));
        assert_eq!((late, in_time), (Err(Late), Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_is_waited_for_is_looked_at_again() {
        let alarm = Alarm::start();
        let looks = std::cell::Cell::new(0);
        let look = || {
            let looked = std::future::poll_fn(|_| {
                looks.set(looks.get() + 1);
                if looks.get() > 2 { Poll::Ready(()) } else { Poll::Pending }
            });
            alarm.until(after(5_000), looked)
        };
        let wake = async { alarm.wake() };
        let (one, other, ()) = tokio::join!(look(), look(), wake);
        assert_eq!((one, other), (Ok(()), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_leaves_its_place() {
        let alarm = Alarm::start();
        for _ in 0..1_000 {
            let mut left = Box::pin(alarm.until(after(1_000), pending::<()>()));
            assert!(futures_util::poll!(&mut left).is_pending());
        }
        assert_eq!(alarm.clock.waits().places.len(), 1);
        assert_eq!(alarm.clock.waits().free.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_sleeps_when_nobody_waits_and_wakes_up_again() {
        let alarm = Alarm::start();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(alarm.clock.waits().asleep);
        assert_eq!(alarm.until(after(30), pending::<()>()).await, Err(Late));
        assert!(!alarm.clock.waits().asleep);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_moves_to_another_task_is_woken_there() {
        let alarm = Arc::new(Alarm::start());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut wait = Box::pin(async move { alarm.until(after(50), pending::<()>()).await });
            assert!(futures_util::poll!(&mut wait).is_pending());
            let _ = sender.send(wait);
        });
        task.await.unwrap();
        let Ok(wait) = receiver.await else { panic!("the task sends it") };
        assert_eq!(tokio::spawn(wait).await.unwrap(), Err(Late));
    }
}
