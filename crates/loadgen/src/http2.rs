//! A connection of HTTP/2: many requests at once, each with a task that waits for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{HeaderValue, Request};

use crate::ANSWER_BYTES_MAX;
use crate::connection::{self, NoConnection, Stream};
use crate::ending::Failure;
use crate::engine::{End, Job, Seat, Shared};
use crate::http1::{body_is_right, capture, until_cut, wait_of};
use crate::scenario::Escape;

/// What the service may send before it must wait for us: enough that it never does.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same where some read slowly: so little that the service feels them, as it does with
/// HTTP/1.1. It is the same for all who share the connection, whose others take at once what comes.
const SLOW_WINDOW_BYTES: u32 = 16 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// Moves the bytes of a connection, whoever asks on it.
type Driver = client::Connection<Stream, Bytes>;

/// Opens the connection for the request that sits there, and as many seats as it may have: no more
/// than the service says, because what comes on top would wait here for one of its streams, where
/// another connection could take it.
pub(crate) async fn serve(shared: Rc<Shared>, first: Seat) {
    let (sender, driver) = match until_cut(&shared, first, open(&shared)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => return shared.close_unconnected(first, why),
        Err(cut) => return shared.close(first, End::Cut(cut)),
    };
    let connection = Rc::new(Connection {
        shared,
        seats: RefCell::new(vec![first]),
        streams: Cell::new(0),
        is_whole: Cell::new(true),
    });
    tokio::task::spawn_local(work(connection.clone(), first, sender.clone()));
    connection.follow(&sender);
    tokio::task::spawn_local(drive(connection, driver, sender));
}

struct Connection {
    shared: Rc<Shared>,
    /// Those that are not closed yet.
    seats: RefCell<Vec<Seat>>,
    /// How many there may be: the service says so, and may say otherwise at any time.
    streams: Cell<usize>,
    /// Whether it lives: then there may be more seats, and later no more.
    is_whole: Cell<bool>,
}

impl Connection {
    /// As many seats as there may be by now.
    fn follow(self: &Rc<Connection>, sender: &SendRequest<Bytes>) {
        let streams = sender.current_max_send_streams().min(self.shared.plan.behaviour.streams_max);
        let before = self.streams.replace(streams);
        while self.is_whole.get() && self.seats.borrow().len() < streams {
            let seat = self.shared.add_seat();
            self.seats.borrow_mut().push(seat);
            tokio::task::spawn_local(work(self.clone(), seat, sender.clone()));
        }
        if streams < before {
            // Who waits there for a request looks whether there is still room for one.
            let mut engine = self.shared.engine.borrow_mut();
            for seat in self.seats.borrow().iter() {
                engine.seats().wake(*seat);
            }
        }
    }

    /// Whether there are more seats than the service has room for. One stays, whatever it says:
    /// a connection without any would never be heard of again.
    fn is_crowded(&self) -> bool {
        self.is_whole.get() && self.seats.borrow().len() > self.streams.get().max(1)
    }

    fn forget(&self, seat: Seat) {
        self.seats.borrow_mut().retain(|one| *one != seat);
    }
}

/// Moves the bytes until the connection ends, which is seen by every request that is on it, and by
/// the next that would be.
async fn drive(connection: Rc<Connection>, mut driver: Driver, sender: SendRequest<Bytes>) {
    poll_fn(|cx| {
        let ended = Pin::new(&mut driver).poll(cx).map(|_| ());
        if ended.is_pending() {
            // The service may have allowed more, or less.
            connection.follow(&sender);
        }
        ended
    })
    .await;
}

/// A connection whose service has said how many requests it takes at once.
async fn open(shared: &Rc<Shared>) -> Result<(SendRequest<Bytes>, Driver), NoConnection> {
    let plan = shared.plan.clone();
    let stream = connection::open(&plan).await?;
    let is_slow = plan.behaviour.slow_readers.share > 0.0;
    let window_bytes = if is_slow { SLOW_WINDOW_BYTES } else { STREAM_WINDOW_BYTES };
    let (sender, mut driver) = client::Builder::new()
        // None, until it says so: then it is known to have said it.
        .initial_max_send_streams(0)
        .initial_window_size(window_bytes)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(|error| no_agreement(&error.to_string()))?;
    poll_fn(|cx| match Pin::new(&mut driver).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(no_agreement(&error.to_string()))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(no_agreement("the connection was closed"))),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((sender, driver))
}

fn no_agreement(why: &str) -> NoConnection {
    NoConnection::Failed { failure: Failure::Handshake, cause: format!("HTTP/2: {why}") }
}

/// Serves one seat until the connection ends.
async fn work(connection: Rc<Connection>, seat: Seat, mut sender: SendRequest<Bytes>) {
    let shared = &connection.shared;
    loop {
        let job = match next(&connection, seat, &mut sender).await {
            Next::Job(job) => job,
            Next::Crowded => {
                connection.forget(seat);
                return shared.close_idle(seat);
            }
            Next::Over => {
                shared.move_on(seat);
                break;
            }
        };
        let end = match until_cut(shared, seat, exchange(shared, seat, job, &mut sender)).await {
            Ok(end) => end,
            Err(cut) => End::Cut(cut),
        };
        if connection.is_crowded() {
            connection.forget(seat);
            return shared.finish_last(seat, end);
        }
        shared.finish(seat, end);
    }
    connection.is_whole.set(false);
    connection.forget(seat);
    if connection.seats.borrow().is_empty() {
        shared.close_connection();
    }
}

/// What comes next for a seat.
enum Next {
    Job(Job),
    /// There is no room for it any more, and no request waits in it.
    Crowded,
    /// The connection takes no more.
    Over,
}

async fn next(connection: &Connection, seat: Seat, sender: &mut SendRequest<Bytes>) -> Next {
    poll_fn(|cx| {
        // Ready, or waiting for a stream to become free: the connection lives.
        if let Poll::Ready(Err(_)) = sender.poll_ready(cx) {
            return Poll::Ready(Next::Over);
        }
        let mut engine = connection.shared.engine.borrow_mut();
        engine.seats().listen(seat, cx.waker());
        match engine.seats().read(seat) {
            Some(job) => Poll::Ready(Next::Job(job)),
            None if connection.is_crowded() => Poll::Ready(Next::Crowded),
            None => Poll::Pending,
        }
    })
    .await
}

async fn exchange(
    shared: &Rc<Shared>,
    seat: Seat,
    job: Job,
    sender: &mut SendRequest<Bytes>,
) -> End {
    match answer(shared, seat, job, sender).await {
        Ok(end) => end,
        Err(failure) => End::Failed(failure),
    }
}

async fn answer(
    shared: &Rc<Shared>,
    seat: Seat,
    job: Job,
    sender: &mut SendRequest<Bytes>,
) -> Result<End, Failure> {
    let (request, body) = write(shared, &job).ok_or(Failure::Garbage)?;
    poll_fn(|cx| sender.poll_ready(cx)).await.map_err(|error| failure_of(&error))?;
    let now = shared.now();
    {
        let mut engine = shared.engine.borrow_mut();
        engine.note_sent(&job, now);
        engine.seats().mark_sent(seat, now);
    }
    let (response, mut stream) =
        sender.send_request(request, body.is_empty()).map_err(|error| failure_of(&error))?;
    if !body.is_empty() {
        stream.send_data(body, true).map_err(|error| failure_of(&error))?;
    }
    let response = response.await.map_err(|error| failure_of(&error))?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(http::header::RETRY_AFTER)
        .and_then(|value| wait_of(value.as_bytes()));
    let prepared = &shared.plan.requests[job.request];
    let mut kept = Vec::new();
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data.map_err(|_| Failure::HalfAnswer)?;
        shared.engine.borrow_mut().record.bytes_read += data.len() as u64;
        if prepared.wants_body {
            if kept.len() + data.len() > ANSWER_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            kept.extend_from_slice(&data);
        }
        if job.reads_slowly {
            let pace = f64::from(shared.plan.behaviour.slow_readers.what);
            tokio::time::sleep(Duration::from_secs_f64(data.len() as f64 / pace)).await;
        }
        // What was not released is not sent: a stream that is gone needs no more.
        let _ = body.flow_control().release_capacity(data.len());
    }
    if prepared.request.good.takes(status) {
        capture(shared, &job, &kept);
    }
    let body_is_right = body_is_right(&prepared.request.good, &kept);
    Ok(End::Answer { status, body_is_right, retry_after })
}

/// The request and its body; nothing if its path or a header is none, once its values are in.
fn write(shared: &Shared, job: &Job) -> Option<(Request<()>, Bytes)> {
    let prepared = &shared.plan.requests[job.request];
    shared.with_values(job, |values| {
        let mut uri =
            format!("{}://{}", shared.plan.target.scheme(), prepared.authority).into_bytes();
        prepared.request.path.write(&mut uri, values, Escape::Path);
        let mut request =
            Request::builder().method(prepared.request.method.clone()).uri(uri.as_slice());
        for (name, value) in &prepared.headers {
            let mut written = Vec::new();
            value.write(&mut written, values, Escape::Header);
            request = request.header(name, HeaderValue::from_bytes(&written).ok()?);
        }
        let mut body = Vec::new();
        prepared.request.body.write(&mut body, values, Escape::Nothing);
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_LENGTH, body.len());
        }
        Some((request.body(()).ok()?, Bytes::from(body)))
    })
}

fn failure_of(error: &h2::Error) -> Failure {
    if error.is_io() || error.is_reset() || error.is_go_away() {
        Failure::Reset
    } else {
        Failure::Garbage
    }
}
