//! How a request can end, as the one who sent it sees it.

/// What became of a request that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The right answer, in time.
    Good,
    /// The right answer, but later than the scenario's `latency_max`.
    Slow,
    /// An answer with another status or body than the scenario calls good.
    Wrong,
    /// Turned away: 429 or 503.
    Refused,
    /// No whole answer within the client's patience.
    TimedOut,
    /// No answer that can be read: see [`Failure`].
    Failed,
    /// The client went away before the answer was there, as the scenario told it to.
    LeftEarly,
}

impl Ending {
    /// All of them, in the order in which reports list them.
    pub const ALL: [Ending; 7] = [
        Ending::Good,
        Ending::Slow,
        Ending::Wrong,
        Ending::Refused,
        Ending::TimedOut,
        Ending::Failed,
        Ending::LeftEarly,
    ];

    /// The name in reports: `timed_out`.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Good => "good",
            Ending::Slow => "slow",
            Ending::Wrong => "wrong",
            Ending::Refused => "refused",
            Ending::TimedOut => "timed_out",
            Ending::Failed => "failed",
            Ending::LeftEarly => "left_early",
        }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// No connection: refused or unreachable. That this machine could open none is
    /// [`NotOffered`].
    Connect,
    /// No agreement on TLS or on the protocol.
    Handshake,
    /// The connection was reset or broke.
    Reset,
    /// The connection was closed in the middle of an answer.
    HalfAnswer,
    /// The connection was closed without a byte of an answer.
    NoAnswer,
    /// What came is not HTTP.
    Garbage,
    /// The answer is larger than what is looked at: see [`crate::ANSWER_BYTES_MAX`].
    TooLarge,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 7] = [
        Failure::Connect,
        Failure::Handshake,
        Failure::Reset,
        Failure::HalfAnswer,
        Failure::NoAnswer,
        Failure::Garbage,
        Failure::TooLarge,
    ];

    /// The name in reports: `half_answer`.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::Handshake => "handshake",
            Failure::Reset => "reset",
            Failure::HalfAnswer => "half_answer",
            Failure::NoAnswer => "no_answer",
            Failure::Garbage => "garbage",
            Failure::TooLarge => "too_large",
        }
    }

    /// What happened, for people: `no connection, refused or unreachable`.
    pub fn words(self) -> &'static str {
        match self {
            Failure::Connect => "no connection, refused or unreachable",
            Failure::Handshake => "no agreement on TLS or on the protocol",
            Failure::Reset => "the connection broke",
            Failure::HalfAnswer => "the connection was closed in the middle of an answer",
            Failure::NoAnswer => "the connection was closed without an answer",
            Failure::Garbage => "what came back is no HTTP",
            Failure::TooLarge => "the answer was too large",
        }
    }

    /// The same with what was said about it, if something was: `no connection: Connection
    /// refused`.
    pub(crate) fn told(self, cause: Option<&str>) -> String {
        match (self, cause) {
            (_, None) => self.words().to_owned(),
            (Failure::Connect, Some(cause)) => format!("no connection: {cause}"),
            (_, Some(cause)) => cause.to_owned(),
        }
    }

    /// What happened most often, and whether it was all that happened; none if nothing did.
    /// `counts` are in the order of [`Failure::ALL`].
    pub fn most_frequent(counts: &[u64; Failure::ALL.len()]) -> Option<(Failure, bool)> {
        let seen = || Failure::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0);
        let (most, _) = seen().max_by_key(|(_, count)| **count)?;
        Some((most, seen().count() == 1))
    }
}

/// Why a request that was due has not been sent. It is the generator that could not, and never
/// the service that would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotOffered {
    /// Every connection was busy, and as many requests waited for one as may.
    BacklogFull,
    /// Its client's patience ended while it waited for a connection.
    Expired,
    /// As many retries waited for their time as may.
    RetriesFull,
    /// A connection could not be opened, because this process or machine may have no more files
    /// open.
    NoFile,
    /// A connection could not be opened, because every port of this machine that one could begin
    /// at is in use, if only by connections that were closed a minute ago.
    NoPort,
}

impl NotOffered {
    /// All of them.
    pub const ALL: [NotOffered; 5] = [
        NotOffered::BacklogFull,
        NotOffered::Expired,
        NotOffered::RetriesFull,
        NotOffered::NoFile,
        NotOffered::NoPort,
    ];

    /// The name in reports: `backlog_full`.
    pub fn name(self) -> &'static str {
        match self {
            NotOffered::BacklogFull => "backlog_full",
            NotOffered::Expired => "expired",
            NotOffered::RetriesFull => "retries_full",
            NotOffered::NoFile => "no_file",
            NotOffered::NoPort => "no_port",
        }
    }
}

/// Whether a status says that a request was turned away, and not that something is wrong.
pub(crate) fn is_refusal(status: u16) -> bool {
    status == 429 || status == 503
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_failure_is_told_and_whether_it_was_alone() {
        let mut counts = [0; Failure::ALL.len()];
        assert_eq!(Failure::most_frequent(&counts), None);
        counts[Failure::Reset as usize] = 3;
        assert_eq!(Failure::most_frequent(&counts), Some((Failure::Reset, true)));
        counts[Failure::Connect as usize] = 2;
        assert_eq!(Failure::most_frequent(&counts), Some((Failure::Reset, false)));
    }
}
