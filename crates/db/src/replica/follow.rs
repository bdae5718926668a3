//! Measures how far each replica is behind: one task asks the primary where its log is, and one
//! for each replica how far it has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_context::Moment;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::freshness::Freshness;
use super::position::{self, Replayed};
use super::positions::Positions;
use crate::backoff::Backoff;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::observer::Observer;

/// The time between the primary's answer and the question to the replicas: what is written at
/// that moment is there by then, if the replica is well.
const HEAD_START: Duration = Duration::from_millis(20);

/// Names one cluster, whichever of its servers is asked.
const CLUSTER: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

/// A server that is followed.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) name: String,
    pub(super) connector: Connector,
    pub(super) freshness: Arc<Freshness>,
}

/// What the primary's task has learned, for those of the replicas.
#[derive(Debug, Default)]
struct Primary {
    positions: Positions,
    /// Not known if Postgres does not say so.
    cluster: Option<String>,
}

type SharedPrimary = Arc<Mutex<Primary>>;

/// Starts to measure, on the current runtime; ends when the tasks are dropped.
pub(super) fn start(
    primary: Connector,
    replicas: impl Iterator<Item = Followed>,
    interval: Duration,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let known = SharedPrimary::default();
    let (asked, news) = watch::channel(());
    for replica in replicas {
        tasks.spawn(follow_replica(replica, Arc::clone(&known), news.clone()));
    }
    tasks.spawn(follow_primary(primary, known, interval, asked));
    tasks
}

async fn follow_primary(
    connector: Connector,
    known: SharedPrimary,
    interval: Duration,
    news: watch::Sender<()>,
) {
    let mut backoff = Backoff::new();
    loop {
        let ended = async {
            let observer = Observer::connect(&connector).await?;
            let cluster = cluster(&observer).await?;
            lock(&known).cluster = cluster;
            loop {
                // Before it is asked: what is confirmed meanwhile may stand behind its answer.
                let at = Moment::now();
                let lsn = position::written(&observer).await?;
                backoff = Backoff::new();
                lock(&known).positions.note(at, lsn);
                news.send_replace(());
                tokio::time::sleep(interval).await;
            }
        };
        let ended: Result<()> = ended.await;
        if let Err(error) = ended {
            tracing::debug!(error = %error, "the primary does not say where its log is");
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn follow_replica(replica: Followed, known: SharedPrimary, mut news: watch::Receiver<()>) {
    let mut backoff = Backoff::new();
    let mut state = State::Unknown;
    loop {
        let ended = async {
            let mut observer = Observer::connect(&replica.connector).await?;
            let its_cluster = cluster(&observer).await?;
            loop {
                let (checked, why) =
                    check(&observer, its_cluster.as_deref(), &known, &replica).await?;
                backoff = Backoff::new();
                state.change(checked, &replica.name, why);
                tokio::select! {
                    // Its end is the end of what is known of it, at once.
                    () = observer.lost() => {
                        return Err(Error::unreachable("the connection was lost"));
                    }
                    Ok(()) = news.changed() => tokio::time::sleep(HEAD_START).await,
                }
            }
        };
        let ended: Result<()> = ended.await;
        replica.freshness.set_unknown();
        if let Err(error) = ended {
            state.change(State::Silent, &replica.name, &error.to_string());
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Asks a replica how far it has come, and keeps the answer; what to say of it.
async fn check(
    observer: &Observer,
    its_cluster: Option<&str>,
    known: &SharedPrimary,
    replica: &Followed,
) -> Result<(State, &'static str)> {
    let replayed = match position::replayed(observer).await? {
        Replayed::Upto(lsn) => lsn,
        Replayed::IsNoStandby => {
            replica.freshness.set_unknown();
            return Ok((State::Unusable, "it is no standby"));
        }
    };
    let primary = lock(known);
    if let (Some(cluster), Some(its_cluster)) = (&primary.cluster, its_cluster)
        && cluster != its_cluster
    {
        replica.freshness.set_unknown();
        return Ok((State::Unusable, "it belongs to another cluster"));
    }
    match primary.positions.fresh_as_of(replayed) {
        Some(fresh_as_of) => {
            replica.freshness.set(fresh_as_of, replayed);
            Ok((State::Follows, "it is a standby"))
        }
        None => {
            replica.freshness.set_unknown();
            Ok((State::Unknown, "it is older than all that is known of the primary"))
        }
    }
}

/// Who may not ask for it (Postgres can be told so) does without.
async fn cluster(observer: &Observer) -> Result<Option<String>> {
    match observer.ask_one(CLUSTER).await {
        Err(Error::Postgres(said)) if !said.ends_the_connection() => Ok(None),
        cluster => cluster,
    }
}

/// What a replica was last, so that each change is said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Follows,
    Unusable,
    Silent,
}

impl State {
    fn change(&mut self, now: State, replica: &str, why: &str) {
        if *self == now {
            return;
        }
        *self = now;
        if now == State::Follows {
            tracing::info!(replica, "replica takes reads");
        } else {
            tracing::warn!(replica, why, "replica takes no reads, which go to the primary");
        }
    }
}

fn lock(primary: &SharedPrimary) -> MutexGuard<'_, Primary> {
    primary.lock().unwrap_or_else(PoisonError::into_inner)
}
