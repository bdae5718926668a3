//! The shared lane: the single statements of many requests, pipelined over few connections of
//! one shard.
//!
//! Pipelining saves most of the processor time of a small query, here and in Postgres, because
//! one wake-up carries many of them. The price is that statements wait for those before them,
//! so their number in flight is capped and nothing that lasts (a transaction, a stream) comes
//! here.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tenfold_context::{Context, Deadline, Moment};
use tenfold_overload::{Arrived, Entrance, Limits, Occupancy, Permit};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use crate::abandoned::Abandoned;
use crate::backoff::Backoff;
use crate::connect::Connector;
use crate::connection::Connection;
use crate::error::{Cause, Error, Lane, Result};
use crate::settings::DatabaseSettings;
use crate::slow::SlowStatements;

/// How long a query waits for a broken connection to come back. Longer means that Postgres is
/// gone, and the sooner a caller hears of that the better.
const RECONNECT_GRACE: Duration = Duration::from_secs(1);

/// What comes on top of the longest statement before a silent connection is given up.
const SILENCE_GRACE: Duration = Duration::from_secs(1);

/// How long a connection with something to answer may be silent before another one is made to
/// take its place. Postgres may be at something slow, of which it is not known yet; or the server
/// may be gone without a word, and another one be there.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// How often a connection is asked whether it is silent.
const LISTEN_PAUSE: Duration = Duration::from_millis(250);

/// How long a connection has to last to be a success: one that dies as soon as it is there is as
/// good as none.
const LASTING: Duration = Duration::from_secs(2);

/// The shared lane of one shard.
#[derive(Debug)]
pub(crate) struct SharedLane {
    entrance: Entrance,
    members: Vec<Member>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// How long a connection with something to answer may be silent.
    silence_max: Duration,
    abandoned: Abandoned,
}

/// One connection of the lane and the task that keeps it up.
#[derive(Debug)]
pub(crate) struct Member {
    state: watch::Receiver<State>,
    keeper: AbortHandle,
}

#[derive(Debug)]
enum State {
    /// The first attempt is under way. Nothing says that Postgres is gone: the pool has just
    /// connected to it.
    Starting,
    Up(Arc<Connection>),
    Down {
        since: Moment,
        cause: Option<Cause>,
    },
}

impl SharedLane {
    /// Opens the lane; its connections belong to the current runtime and are made in the
    /// background.
    pub(crate) fn open(
        connector: &Connector,
        settings: &DatabaseSettings,
        slow: SlowStatements,
        abandoned: Abandoned,
    ) -> SharedLane {
        let connections = settings.shared_connections.max(1);
        let timeout = settings.shared_statement_timeout;
        let connector = connector
            .clone()
            .with_timeout("statement_timeout", timeout)
            // Who waits for a lock here makes everybody wait, be it to run or to be prepared.
            .with_timeout("lock_timeout", slow.after());
        let open = Open { connector, statements_max: settings.statements_max(), slow };
        let silence_max = timeout + SILENCE_GRACE;
        let members = (0..connections).map(|_| Member::start(open.clone(), silence_max)).collect();
        SharedLane {
            entrance: Entrance::new(Limits {
                places: connections * settings.shared_in_flight_max,
                waiting_max: settings.shared_waiting_max,
            }),
            members,
            turn: AtomicUsize::new(0),
            silence_max,
            abandoned,
        }
    }

    /// A place on the lane and the connection to use. Usually both are there at once, and
    /// nothing has to be waited for.
    pub(crate) fn enter<'a>(&'a self, context: &'a Context) -> Result<Entry<'a>> {
        let arrived = self.entrance.arrive(context);
        let arrived = arrived.map_err(|refusal| Error::refused(Lane::Shared, refusal))?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len();
        // While one is being made again, the others take its turn.
        let mut members = self.members[turn..].iter().chain(&self.members[..turn]);
        match (arrived, members.find_map(Member::connected)) {
            (Arrived::Inside(permit), Some(connection)) => {
                Ok(Entry::Inside(SharedPlace::new(permit, connection, self, context)))
            }
            (arrived, _) => Ok(Entry::Waits(arrived, &self.members[turn], self, context)),
        }
    }

    /// Whether a statement would find a connection.
    pub(crate) fn is_up(&self) -> bool {
        self.members.iter().any(|member| member.connected().is_some())
    }

    /// The numbers of Postgres' processes behind its connections, as far as they are known.
    pub(crate) fn backend_pids(&self) -> impl Iterator<Item = i32> {
        self.members.iter().filter_map(|member| member.connected()?.backend_pid())
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        self.entrance.occupancy()
    }

    /// How many statements may be in flight.
    pub(crate) fn places(&self) -> usize {
        self.entrance.limits().places
    }

    pub(crate) fn close(&self) {
        self.entrance.close();
    }
}

/// What became of a statement that was not refused.
pub(crate) enum Entry<'a> {
    Inside(SharedPlace<'a>),
    /// For its place, or for the connection.
    Waits(Arrived<'a>, &'a Member, &'a SharedLane, &'a Context),
}

impl<'a> Entry<'a> {
    pub(crate) async fn wait(self, deadline: Deadline) -> Result<SharedPlace<'a>> {
        let (arrived, member, lane, context) = match self {
            Entry::Inside(place) => return Ok(place),
            Entry::Waits(arrived, member, lane, context) => (arrived, member, lane, context),
        };
        let permit = match arrived {
            Arrived::Inside(permit) => Ok(permit),
            Arrived::InLine(line) => line.turn().await,
        };
        let permit = permit.map_err(|refusal| Error::refused(Lane::Shared, refusal))?;
        let connection = member.connection(deadline).await?;
        // It may have waited for the connection too, and is sent only now.
        let mut place = SharedPlace::new(permit, connection, lane, context);
        place.since = Moment::now();
        Ok(place)
    }
}

/// A place on the lane, taken until its statement has been answered. Who leaves before that
/// leaves the statement on the connection, with others behind it, so the place is not free yet:
/// else those who leave would make the number in flight endless.
pub(crate) struct SharedPlace<'a> {
    /// `Some` until dropped.
    permit: Option<Permit>,
    connection: Arc<Connection>,
    since: Moment,
    answered: AtomicBool,
    lane: &'a SharedLane,
    context: &'a Context,
}

impl<'a> SharedPlace<'a> {
    fn new(
        permit: Permit,
        connection: Arc<Connection>,
        lane: &'a SharedLane,
        context: &'a Context,
    ) -> SharedPlace<'a> {
        let since = permit.since();
        let answered = AtomicBool::new(false);
        SharedPlace { permit: Some(permit), connection, since, answered, lane, context }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// Says that the answer has come to its end.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
}

impl Drop for SharedPlace<'_> {
    fn drop(&mut self) {
        if *self.answered.get_mut() || self.connection.is_closed() {
            return;
        }
        let (permit, silence_max) = (self.permit.take(), self.lane.silence_max);
        let abandonment = self.lane.abandoned.begin(Lane::Shared, self.context.clone());
        let connection = Arc::clone(&self.connection);
        self.connection.runtime().spawn(async move {
            connection.settle(silence_max).await;
            drop((permit, abandonment));
        });
    }
}

impl Member {
    fn start(open: Open, silence_max: Duration) -> Member {
        let (sender, state) = watch::channel(State::Starting);
        let keeper = tokio::spawn(keep_up(open, silence_max, sender)).abort_handle();
        Member { state, keeper }
    }

    /// The connection, if it is up.
    fn connected(&self) -> Option<Arc<Connection>> {
        match &*self.state.borrow() {
            State::Up(connection) if !connection.is_closed() => Some(Arc::clone(connection)),
            State::Up(_) | State::Starting | State::Down { .. } => None,
        }
    }

    /// The connection, waiting a little for one that is just being made.
    async fn connection(&self, deadline: Deadline) -> Result<Arc<Connection>> {
        let asked = Moment::now();
        let mut state = self.state.clone();
        loop {
            let (give_up, cause) = match &*state.borrow_and_update() {
                State::Up(connection) if !connection.is_closed() => {
                    return Ok(Arc::clone(connection));
                }
                State::Starting => (deadline, None),
                // It broke this moment, and its keeper has not noticed yet.
                State::Up(_) => (Deadline::at(asked + RECONNECT_GRACE), None),
                State::Down { since, cause } => {
                    (Deadline::at(*since + RECONNECT_GRACE), cause.clone())
                }
            };
            let give_up = give_up.earlier(deadline);
            match tokio::time::timeout_at(give_up.instant(), state.changed()).await {
                Ok(Ok(())) => {}
                // The lane is gone, and nobody connects any more.
                Ok(Err(_keeper_is_gone)) => return Err(Error::Closed),
                Err(_elapsed) => {
                    let cause = cause.unwrap_or_else(|| Cause::new("still connecting"));
                    return Err(Error::Unreachable { cause });
                }
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Everything that is needed to open a connection of the lane.
#[derive(Clone, Debug)]
struct Open {
    connector: Connector,
    statements_max: NonZeroUsize,
    slow: SlowStatements,
}

impl Open {
    async fn open(&self) -> Result<(Arc<Connection>, JoinHandle<()>), Cause> {
        let slow = self.slow.clone();
        let opened = Connection::open_shared(&self.connector, self.statements_max, slow).await;
        opened.map_err(|error| {
            let cause = match error {
                Error::Unreachable { cause } => cause,
                error => Cause::new(error),
            };
            tracing::warn!(cause = %cause, lane = "shared", "cannot connect to postgres");
            cause
        })
    }
}

/// Connects, waits for the connection to break, and connects again, for as long as the lane is there.
async fn keep_up(open: Open, silence_max: Duration, state: watch::Sender<State>) {
    let mut since = Moment::now();
    let mut backoff = Backoff::new();
    loop {
        match open.open().await {
            Ok((connection, driver)) => {
                state.send_replace(State::Up(Arc::clone(&connection)));
                let up = Moment::now();
                until_broken(&open, silence_max, &state, connection, driver).await;
                since = Moment::now();
                state.send_replace(State::Down { since, cause: None });
                if since.since(up) > LASTING {
                    backoff = Backoff::new();
                }
            }
            Err(cause) => {
                state.send_replace(State::Down { since, cause: Some(cause) });
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Waits for the connection to break. One that is silent is replaced as soon as another one is
/// there: what is under way on it may be answered still, and what comes later need not wait.
async fn until_broken(
    open: &Open,
    silence_max: Duration,
    state: &watch::Sender<State>,
    mut connection: Arc<Connection>,
    mut driver: JoinHandle<()>,
) {
    // One may be on its way out at a time, so that the lane has at most twice its connections.
    let mut leaving: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            // The driver has logged why.
            _ended = &mut driver => return,
            () = tokio::time::sleep(LISTEN_PAUSE) => {}
        }
        // Nobody is given one that is known to be of no use, though its socket be open; it ends
        // with the last answer on it.
        if connection.is_closed() {
            return;
        }
        let is_silent = |connection: &Connection| {
            connection.silent_for().is_some_and(|silence| silence >= SILENCE_MIN)
        };
        let may_leave = leaving.as_ref().is_none_or(JoinHandle::is_finished);
        if !is_silent(&connection) || !may_leave {
            continue;
        }
        let Ok((other, other_driver)) = open.open().await else { continue };
        if !is_silent(&connection) && !connection.is_closed() {
            continue;
        }
        tracing::warn!("postgres is silent on a shared connection: another one takes its place");
        state.send_replace(State::Up(Arc::clone(&other)));
        driver = other_driver;
        let silent = std::mem::replace(&mut connection, other);
        leaving = Some(tokio::spawn(async move { silent.settle(silence_max).await }));
    }
}
