//! Wakes the generator when the next request is due, more exactly than timers of a millisecond.
//!
//! tokio's timers tick once per millisecond: at 50,000 requests per second each tick would send
//! fifty at once, and the service would be measured with a queue that nobody asked for. The
//! kernel's own timer is exact to some ten microseconds.

#[cfg(target_os = "linux")]
pub(crate) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    // The event loop takes any descriptor, and has to be promised that it stays open.
    #![allow(unsafe_code)]

    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel, in the event loop.
    pub(crate) struct Alarm {
        timer: AsyncFd<Timer>,
    }

    struct Timer(TimerFd);

    impl AsRawFd for Timer {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Alarm> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
            // SAFETY: the timer owns its descriptor, never changes it, and is itself owned by what is
            // made here, so the descriptor is open and the same for as long as that lives.
            let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE)? };
            Ok(Alarm { timer })
        }

        /// Rings once, that long from now; an earlier setting is forgotten.
        pub(crate) fn set(&mut self, after: Duration) -> io::Result<()> {
            // Nothing at all would switch it off.
            let after = TimeSpec::from_duration(after.max(Duration::from_nanos(1)));
            let expiration = Expiration::OneShot(after);
            Ok(self.timer.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?)
        }

        /// Whether it has rung since it was last asked. It need not be read: each ring is an event
        /// of its own, and setting it again clears it.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.timer.poll_read_ready(cx) {
                Poll::Ready(Ok(mut guard)) => {
                    guard.clear_ready();
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::future::Future;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::time::{Instant, Sleep};

    /// tokio's timer, late by up to a millisecond: the lag in the record tells how late.
    pub(crate) struct Alarm {
        sleep: Pin<Box<Sleep>>,
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Alarm> {
            Ok(Alarm { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)) })
        }

        /// Rings once, that long from now; an earlier setting is forgotten.
        pub(crate) fn set(&mut self, after: Duration) -> io::Result<()> {
            self.sleep.as_mut().reset(Instant::now() + after);
            Ok(())
        }

        /// Whether it has rung.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.sleep.as_mut().poll(cx).map(Ok)
        }
    }
}
