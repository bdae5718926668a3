//! A connection of HTTP/1.1: one request after the other, written at once and read without a
//! copy where nobody looks at the body.
//!
//! It is a thin client of our own, because a generator that costs more per request than the
//! service measures itself. What it does not do (pipelining, trailers, upgrades) a load test does
//! not need.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::connection::{self, Stream};
use crate::ending::Failure;
use crate::engine::{Cut, End, Job, SCRATCH_BYTES, Seat, Shared};
use crate::scenario::Good;

mod answer;

use answer::Answer;
pub(crate) use answer::wait_of;

/// How often per second a slow reader reads.
const SIPS_PER_SECOND: u32 = 10;

/// Opens the connection for the request that sits there, and serves the seat until the
/// connection ends.
pub(crate) async fn serve(shared: Rc<Shared>, seat: Seat) {
    let plan = shared.plan.clone();
    match until_cut(&shared, seat, connection::open(&plan)).await {
        Err(cut) => shared.close(seat, End::Cut(cut)),
        Ok(Err(why)) => shared.close_unconnected(seat, why),
        Ok(Ok(stream)) => {
            let mut connection = Connection {
                shared,
                seat,
                stream,
                state: State::Idle,
                job: Job::default(),
                request: Vec::new(),
                answer: Answer::default(),
                used: false,
                just_now: None,
                pause: None,
            };
            poll_fn(|cx| connection.poll(cx)).await;
        }
    }
}

/// Waits for something on behalf of a seat's request, but not longer than its client does.
pub(crate) async fn until_cut<F: Future>(
    shared: &Shared,
    seat: Seat,
    future: F,
) -> Result<F::Output, Cut> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let mut engine = shared.engine.borrow_mut();
        engine.seats().listen(seat, cx.waker());
        match engine.seats().cut(seat) {
            Some(cut) => Poll::Ready(Err(cut)),
            None => Poll::Pending,
        }
    })
    .await
}

struct Connection {
    shared: Rc<Shared>,
    seat: Seat,
    stream: Stream,
    state: State,
    job: Job,
    /// The request that is sent, if it is not always the same.
    request: Vec<u8>,
    answer: Answer,
    /// Whether the connection has brought an answer: then it may be closed at any moment.
    used: bool,
    /// The time as it has just been read, if the next request follows at once.
    just_now: Option<u64>,
    /// Until when a slow reader does not read.
    pause: Option<Pin<Box<Sleep>>>,
}

enum State {
    Idle,
    /// So many bytes are written.
    Sending(usize),
    /// All is written, but perhaps not sent: TLS keeps some.
    Flushing,
    Reading,
}

/// What ends a connection.
enum Over {
    With(End),
    /// The service had closed it when the request came.
    Resend,
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = loop {
            let step = match self.state {
                State::Idle => self.idle(cx),
                State::Sending(written) => self.send(written, cx),
                State::Flushing => self.flush(cx),
                State::Reading => self.read(cx),
            };
            match step {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(over)) => break over,
                Poll::Pending => match self.patience(cx) {
                    Some(cut) => break Over::With(End::Cut(cut)),
                    None => return Poll::Pending,
                },
            }
        };
        match over {
            Over::With(end) => self.shared.close(self.seat, end),
            Over::Resend => self.shared.resend(self.seat),
        }
        Poll::Ready(())
    }

    /// Whether the client of the present request gives up.
    fn patience(&self, cx: &mut Context<'_>) -> Option<Cut> {
        let mut engine = self.shared.engine.borrow_mut();
        engine.seats().listen(self.seat, cx.waker());
        match self.state {
            // There is no request to give up, or it has just come and is read with the next turn.
            State::Idle => None,
            _ => engine.seats().cut(self.seat),
        }
    }

    fn idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let job = self.shared.engine.borrow_mut().seats().read(self.seat);
        if let Some(job) = job {
            let now = self.just_now.take().unwrap_or_else(|| self.shared.now());
            self.begin(job, now);
            return Poll::Ready(Ok(()));
        }
        self.just_now = None;
        // An answer to no request, an end, an error: whatever comes, the connection is of no use.
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let _ = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        // Without a request in the seat, nothing ends by this but the connection.
        Poll::Ready(Err(Over::With(End::Failed(Failure::Reset))))
    }

    fn begin(&mut self, job: Job, now: u64) {
        let prepared = &self.shared.plan.requests[job.request];
        if prepared.fixed.is_none() {
            self.request.clear();
            let request = &mut self.request;
            self.shared.with_values(&job, |values| prepared.write_http1(request, values));
        }
        self.answer.begin(prepared.request.method == http::Method::HEAD, prepared.wants_body);
        if job.reads_slowly {
            self.stream.read_slowly();
        }
        self.job = Job { sent: Some(now), ..job };
        let mut engine = self.shared.engine.borrow_mut();
        engine.note_sent(&job, now);
        engine.seats().mark_sent(self.seat, now);
        self.state = State::Sending(0);
    }

    fn send(&mut self, written: usize, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let shared = self.shared.clone();
        let fixed = shared.plan.requests[self.job.request].fixed.as_deref();
        let request = fixed.unwrap_or(&self.request);
        match ready!(Pin::new(&mut self.stream).poll_write(cx, &request[written..])) {
            Ok(0) => Poll::Ready(Err(self.broken(Failure::Reset))),
            Ok(more) if written + more == request.len() => {
                self.state = State::Flushing;
                Poll::Ready(Ok(()))
            }
            Ok(more) => {
                self.state = State::Sending(written + more);
                Poll::Ready(Ok(()))
            }
            // A service may answer before it has read all, and close: there may be something to read.
            Err(_) if written > 0 => {
                self.state = State::Reading;
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Ready(Err(self.broken(Failure::Reset))),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Ok(()) => {
                self.state = State::Reading;
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Ready(Err(self.broken(Failure::Reset))),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let shared = self.shared.clone();
        let mut scratch = shared.scratch.borrow_mut();
        let sip = match self.job.reads_slowly {
            true => self.sip(),
            false => scratch.len(),
        };
        let mut buffer = ReadBuf::new(&mut scratch[..sip]);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let bytes = match read {
            Ok(()) => buffer.filled(),
            Err(error) => return Poll::Ready(Err(self.broken_by(&error))),
        };
        if bytes.is_empty() {
            return Poll::Ready(Err(self.closed()));
        }
        self.shared.engine.borrow_mut().record.bytes_read += bytes.len() as u64;
        match self.answer.feed(bytes) {
            Err(failure) => Poll::Ready(Err(Over::With(End::Failed(failure)))),
            Ok(_) if !self.answer.is_whole() => {
                if self.job.reads_slowly {
                    self.pause = Some(Box::pin(tokio::time::sleep(pause())));
                }
                Poll::Ready(Ok(()))
            }
            Ok(rest) => {
                let end = self.end();
                let keep = self.answer.keeps_connection() && rest == 0 && !self.job.reads_slowly;
                if !keep {
                    return Poll::Ready(Err(Over::With(end)));
                }
                self.used = true;
                self.state = State::Idle;
                self.just_now = Some(self.shared.finish(self.seat, end));
                Poll::Ready(Ok(()))
            }
        }
    }

    /// How much a slow reader reads at a time.
    fn sip(&self) -> usize {
        let pace = self.shared.plan.behaviour.slow_readers.what;
        ((pace / SIPS_PER_SECOND).max(1) as usize).min(SCRATCH_BYTES)
    }

    fn end(&mut self) -> End {
        let prepared = &self.shared.plan.requests[self.job.request];
        let status = self.answer.status();
        let body_is_right = !prepared.wants_body || {
            let right = prepared.request.good.takes(status);
            if right {
                capture(&self.shared, &self.job, self.answer.body());
            }
            body_is_right(&prepared.request.good, self.answer.body())
        };
        End::Answer { status, body_is_right, retry_after: self.answer.retry_after() }
    }

    /// The service has closed the connection: the end of some answers, and the lack of others.
    fn closed(&mut self) -> Over {
        match self.answer.close() {
            Ok(()) => Over::With(self.end()),
            Err(failure) => self.broken(failure),
        }
    }

    fn broken_by(&self, error: &io::Error) -> Over {
        let failure = match error.kind() {
            // TLS that is cut off without a goodbye.
            io::ErrorKind::UnexpectedEof if self.answer.has_begun() => Failure::HalfAnswer,
            io::ErrorKind::UnexpectedEof => Failure::NoAnswer,
            _ => Failure::Reset,
        };
        self.broken(failure)
    }

    /// A connection that was closed in the moment in which it was used again says nothing about
    /// the service: any client sends the request once more.
    fn broken(&self, failure: Failure) -> Over {
        let idempotent = self.shared.plan.requests[self.job.request].idempotent;
        let again = self.used && idempotent && !self.job.resent && !self.answer.has_begun();
        if again { Over::Resend } else { Over::With(End::Failed(failure)) }
    }
}

fn pause() -> Duration {
    Duration::from_secs(1) / SIPS_PER_SECOND
}

/// Whether a body has in it what makes it right.
pub(crate) fn body_is_right(good: &Good, body: &[u8]) -> bool {
    match &good.body_contains {
        None => true,
        Some(text) => {
            let text = text.as_bytes();
            body.windows(text.len()).any(|window| window == text)
        }
    }
}

/// Takes from an answer what later requests use.
pub(crate) fn capture(shared: &Shared, job: &Job, body: &[u8]) {
    let captures = &shared.plan.requests[job.request].request.captures;
    if captures.is_empty() {
        return;
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    let mut captured = shared.captured.borrow_mut();
    for capture in captures {
        if let Some(found) = json.pointer(&capture.pointer) {
            captured.add(capture.name, found);
        }
    }
}
