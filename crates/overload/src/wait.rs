//! Lets tasks wait in front of a gate: the only file here that waits, on tokio's clock, which
//! tests pause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenfold_context::{Context, Deadline, Moment};
use tokio::sync::oneshot;

use crate::gate::{Arrival, Decision, Gate, Limits, Occupancy, Ticket, Turn};
use crate::refusal::Refusal;

/// A gate that tasks of any runtime can wait at. A clone is the same entrance.
#[derive(Clone, Debug)]
pub struct Entrance(Arc<Mutex<Gate<Waiter>>>);

/// Where a waiter hears of its turn.
type Waiter = oneshot::Sender<Result<(), Refusal>>;

impl Entrance {
    /// An open entrance with nobody inside.
    pub fn new(limits: Limits) -> Entrance {
        Entrance(Arc::new(Mutex::new(Gate::new(limits))))
    }

    /// Goes in, at once or when the turn comes, at the latest by the context's deadline.
    ///
    /// The future may be dropped at any time: a place in the line or a place inside that it
    /// had just been given goes back.
    ///
    /// # Errors
    /// The reason why not: see [`Refusal`].
    pub async fn enter(&self, context: &Context) -> Result<Permit, Refusal> {
        match self.arrive(context)? {
            Arrived::Inside(permit) => Ok(permit),
            Arrived::InLine(line) => line.turn().await,
        }
    }

    /// Goes in at once or gets into the line: [`Entrance::enter`] for those who go through here
    /// so often that they begin to wait only if they have to.
    ///
    /// # Errors
    /// The reason why not: see [`Refusal`].
    pub fn arrive(&self, context: &Context) -> Result<Arrived<'_>, Refusal> {
        let now = Moment::now();
        let deadline = context.deadline();
        let arrival = Arrival { priority: context.priority(), deadline };
        let mut turn = None;
        let decision = self.gate().arrive(now, arrival, || {
            let (sender, receiver) = oneshot::channel();
            turn = Some(receiver);
            sender
        });
        match (decision, turn) {
            (Decision::Enter, _) => Ok(Arrived::Inside(self.permit(now))),
            (Decision::Refuse(refusal), _) => Err(refusal),
            (Decision::Wait { ticket, displaced }, Some(turn)) => {
                if let Some((waiter, waited)) = displaced {
                    // If it has gone away meanwhile, there is nobody to tell.
                    let _ = waiter.send(Err(Refusal::Displaced { waited }));
                }
                Ok(Arrived::InLine(InLine { entrance: self, ticket, turn, since: now, deadline }))
            }
            (Decision::Wait { .. }, None) => {
                unreachable!("the gate says `Wait` only after it has asked for the waiter")
            }
        }
    }

    /// Whether a context like this one would be let in or could wait now: for who has something
    /// to do before, which would be for nothing. It holds no place, so who comes later may be
    /// refused still.
    ///
    /// # Errors
    /// What it would be told.
    pub fn room_for(&self, context: &Context) -> Result<(), Refusal> {
        self.gate().room_for(context.priority())
    }

    /// Changes the number of places; see [`Gate::set_places`].
    pub fn set_places(&self, places: usize) {
        self.gate().set_places(places);
        self.call_next();
    }

    /// Refuses everybody from now on, those who wait included. Who is inside stays.
    pub fn close(&self) {
        let waiters = self.gate().close();
        for waiter in waiters {
            let _ = waiter.send(Err(Refusal::Closed));
        }
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.gate().is_closed()
    }

    /// How full it is now.
    pub fn occupancy(&self) -> Occupancy {
        self.gate().occupancy()
    }

    /// Its limits now.
    pub fn limits(&self) -> Limits {
        self.gate().limits()
    }

    fn permit(&self, since: Moment) -> Permit {
        Permit { entrance: self.clone(), since }
    }

    /// One person out, then the next ones in.
    fn leave(&self) {
        let mut gate = self.gate();
        gate.leave();
        let waiting = gate.occupancy().waiting;
        drop(gate);
        // Usually nobody waits, and the clock need not be read.
        if waiting > 0 {
            self.call_next();
        }
    }

    /// Tells everybody whose turn it is. A waiter that is gone gives its place to the next.
    fn call_next(&self) {
        loop {
            // Taken out of the lock before anybody is woken.
            let Some(turn) = self.gate().next(Moment::now()) else { return };
            match turn {
                Turn::Enter(waiter) => {
                    if waiter.send(Ok(())).is_err() {
                        self.gate().leave();
                    }
                }
                Turn::Late(waiter, waited) => {
                    let _ = waiter.send(Err(Refusal::Late { waited }));
                }
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate<Waiter>> {
        // No code that can panic runs under the lock, so a poisoned one is sound still.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside. Dropping it gives the place to the next in line.
#[derive(Debug)]
#[must_use = "dropping the permit gives the place back at once"]
pub struct Permit {
    entrance: Entrance,
    since: Moment,
}

impl Permit {
    /// When it was given.
    pub fn since(&self) -> Moment {
        self.since
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.entrance.leave();
    }
}

/// What became of an arrival that was not refused.
#[derive(Debug)]
pub enum Arrived<'a> {
    /// It is inside.
    Inside(Permit),
    /// It has to wait.
    InLine(InLine<'a>),
}

/// A place in the line. Dropping it gives the line up.
#[derive(Debug)]
#[must_use = "dropping it gives the place in the line up"]
pub struct InLine<'a> {
    entrance: &'a Entrance,
    ticket: Ticket,
    turn: oneshot::Receiver<Result<(), Refusal>>,
    since: Moment,
    deadline: Deadline,
}

impl InLine<'_> {
    /// Waits for its turn, at the latest until its deadline.
    ///
    /// # Errors
    /// The reason why it does not come: see [`Refusal`].
    pub async fn turn(mut self) -> Result<Permit, Refusal> {
        match tokio::time::timeout_at(self.deadline.instant(), &mut self.turn).await {
            Ok(Ok(Ok(()))) => Ok(self.entrance.permit(Moment::now())),
            Ok(Ok(Err(refusal))) => Err(refusal),
            Ok(Err(_sender_is_gone)) => Err(Refusal::Closed),
            Err(_elapsed) => Err(Refusal::Late { waited: Moment::now().since(self.since) }),
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.entrance.gate().abandon(self.ticket).is_some() {
            return;
        }
        // Its turn had come. If nobody took the word, the place it stands for goes back.
        self.turn.close();
        if let Ok(Ok(())) = self.turn.try_recv() {
            self.entrance.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenfold_context::{Deadline, Priority};

    use super::*;

    fn entrance(places: usize, waiting_max: usize) -> Entrance {
        Entrance::new(Limits { places, waiting_max })
    }

    fn patient(millis: u64) -> Context {
        Context::new().with_deadline(Deadline::after(Duration::from_millis(millis)))
    }

    /// Starts waiting, and has waited long enough to stand in the line.
    async fn in_line(
        entrance: &Entrance,
        context: Context,
    ) -> tokio::task::JoinHandle<Result<Permit, Refusal>> {
        let entrance = entrance.clone();
        let task = tokio::spawn(async move { entrance.enter(&context).await });
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait() {
        let entrance = entrance(1, 1);
        let _inside = entrance.enter(&patient(1_000)).await.unwrap();
        let refusal = entrance.enter(&patient(20)).await.unwrap_err();
        assert_eq!(refusal, Refusal::Late { waited: Duration::from_millis(20) });
        assert_eq!(entrance.occupancy(), Occupancy { inside: 1, waiting: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_passes_to_the_next_in_line() {
        let entrance = entrance(1, 1);
        let inside = entrance.enter(&patient(1_000)).await.unwrap();
        let next = in_line(&entrance, patient(1_000)).await;
        assert_eq!(entrance.occupancy(), Occupancy { inside: 1, waiting: 1 });
        drop(inside);
        let _next = next.await.unwrap().unwrap();
        assert_eq!(entrance.occupancy(), Occupancy { inside: 1, waiting: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_dropped_in_line_or_at_its_turn_leaks_nothing() {
        let entrance = entrance(1, 2);
        let inside = entrance.enter(&patient(1_000)).await.unwrap();
        let gives_up = in_line(&entrance, patient(1_000)).await;
        let called = in_line(&entrance, patient(1_000)).await;
        gives_up.abort();
        assert!(gives_up.await.unwrap_err().is_cancelled());
        assert_eq!(entrance.occupancy(), Occupancy { inside: 1, waiting: 1 });

        // Called and aborted before it can run: it never learns that it was inside.
        drop(inside);
        called.abort();
        assert!(called.await.unwrap_err().is_cancelled());
        assert_eq!(entrance.occupancy(), Occupancy { inside: 0, waiting: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_displaced_waiter_hears_of_it_at_once() {
        let entrance = entrance(1, 1);
        let inside = entrance.enter(&patient(1_000)).await.unwrap();
        let sheddable = patient(1_000).with_priority(Priority::Sheddable);
        let displaced = in_line(&entrance, sheddable).await;
        let critical = patient(1_000).with_priority(Priority::Critical);
        let critical = in_line(&entrance, critical).await;
        assert_eq!(
            displaced.await.unwrap().unwrap_err(),
            Refusal::Displaced { waited: Duration::ZERO }
        );
        drop(inside);
        assert!(critical.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_turns_everybody_out_and_more_places_let_them_in() {
        let entrance = entrance(0, 2);
        let first = in_line(&entrance, patient(1_000)).await;
        entrance.set_places(1);
        let _first = first.await.unwrap().unwrap();
        let second = in_line(&entrance, patient(1_000)).await;
        entrance.close();
        assert_eq!(second.await.unwrap().unwrap_err(), Refusal::Closed);
        assert_eq!(entrance.enter(&patient(1_000)).await.unwrap_err(), Refusal::Closed);
        assert_eq!(entrance.occupancy(), Occupancy { inside: 1, waiting: 0 });
    }

    #[test]
    fn many_threads_keep_the_bound() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let entrance = entrance(3, 64);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build();
                    runtime.unwrap().block_on(async {
                        let rounds = (0..16).map(|_| async {
                            for _ in 0..100 {
                                let _permit = entrance.enter(&Context::new()).await.unwrap();
                                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                                most.fetch_max(now, Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                inside.fetch_sub(1, Ordering::SeqCst);
                            }
                        });
                        futures_util::future::join_all(rounds).await;
                    });
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(entrance.occupancy(), Occupancy::default());
    }
}
