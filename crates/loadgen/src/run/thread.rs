//! The event loop of one generator thread.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tenfold_context::Moment;
use tokio::runtime::{Builder, LocalOptions};

use super::{Common, Part, lock};
use crate::alarm::Alarm;
use crate::engine::{Demand, Shared};
use crate::live::{EVERY_NS, Observer};
use crate::plan::SharedPlan;

/// The shortest sleep. What is due within it is sent together: at 50,000 requests per second these
/// are two or three, and half of the wake-ups are saved for 25 µs of lag, which the record shows.
const NAP_NS: u64 = 50_000;

/// The sleep while requests wait for a connection: what comes now can only wait behind them, and
/// every answer looks for what is due anyway.
const NAP_CROWDED_NS: u64 = 1_000_000;

/// How many tasks run before events are looked at again: often enough that answers do not wait
/// for each other, seldom enough that asking the kernel costs little.
const EVENT_INTERVAL: u32 = 31;

pub(super) fn start(
    number: usize,
    plan: SharedPlan,
    demand: Demand,
    connections_max: usize,
    common: Arc<Common>,
) -> io::Result<JoinHandle<io::Result<Part>>> {
    std::thread::Builder::new()
        .name(format!("load-{number}"))
        .spawn(move || run(number, plan, demand, connections_max, &common))
}

fn run(
    number: usize,
    plan: SharedPlan,
    demand: Demand,
    connections_max: usize,
    common: &Common,
) -> io::Result<Part> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())?;
    let cpu_before = cpu_time();
    let shared = Shared::new(plan, demand, connections_max, common.started, common.phases);
    let stopped = runtime.block_on(async {
        let mut pacer = Pacer {
            number,
            shared: shared.clone(),
            common,
            alarm: Alarm::new()?,
            next_look: 0,
            observer: Observer::default(),
        };
        poll_fn(|cx| pacer.poll(cx)).await
    })?;
    // The tasks hold what they share; with the runtime they go.
    drop(runtime);
    let elapsed = Moment::now().since(common.started);
    let record = shared.engine.borrow().record.clone();
    Ok(Part { record, cpu: cpu_time().saturating_sub(cpu_before), elapsed, stopped })
}

/// Sends what is due, tells how it goes, and sleeps until the next moment.
struct Pacer<'c> {
    number: usize,
    shared: Rc<Shared>,
    common: &'c Common,
    alarm: Alarm,
    next_look: u64,
    observer: Observer,
}

impl Pacer<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // A ring that has brought us here must not count as one of the next setting.
        if let Poll::Ready(rung) = self.alarm.poll(cx) {
            rung?;
        }
        loop {
            let now = self.shared.now();
            if now >= self.next_look {
                self.next_look = now + EVERY_NS;
                self.look(now);
                if self.common.stop.load(Ordering::Relaxed) {
                    self.shared.engine.borrow_mut().stop();
                    return Poll::Ready(Ok(true));
                }
            }
            let next = self.shared.dispatch(now);
            let mut engine = self.shared.engine.borrow_mut();
            if engine.is_finished(now) {
                drop(engine);
                self.look(now);
                return Poll::Ready(Ok(false));
            }
            if next <= now {
                // There is more, but answers get their turn first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let nap = if engine.is_crowded() { NAP_CROWDED_NS } else { NAP_NS };
            let next = next.min(self.next_look).max(now + nap);
            engine.arm(cx.waker(), next);
            drop(engine);
            self.alarm.set(Duration::from_nanos(next - now))?;
            match self.alarm.poll(cx) {
                Poll::Ready(rung) => rung?,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn look(&mut self, now: u64) {
        {
            let mut engine = self.shared.engine.borrow_mut();
            let (connections, in_flight) = (engine.connections(), engine.in_flight());
            engine.progress.connections = connections;
            engine.progress.in_flight = in_flight;
            engine.progress.publish(&mut lock(&self.common.progress[self.number]));
        }
        // One of the threads looks at all of them.
        if self.number == 0 {
            let threads = self.common.progress.iter().map(lock);
            let snapshot = self.observer.look(Duration::from_nanos(now), threads);
            self.common.live.send_replace(snapshot);
        }
    }
}

/// The processor time that this thread has used.
fn cpu_time() -> Duration {
    // A system that does not tell leaves the share at nothing, which nothing depends on.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
