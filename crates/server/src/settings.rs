//! What can be set about the two ports, with the reason for each default: every limit that a
//! connection or a request meets is here.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use tenfold_config::{ByteSize, at_most, between};

use crate::hosts::Host;
use crate::proxies::{ForwardedBy, Network};
use crate::tls::ClientCertificates;

/// The port of https.
const HTTPS: NonZeroU16 = NonZeroU16::new(443).expect("443 is not 0");

/// The longest time that any of these may be: who needs a longer one does not want a limit.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

tenfold_config::settings! {
    /// Who gets in over HTTP, and for how long.
    pub struct ServerSettings in "server" {
        /// Address and port on which requests come in.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)),
        /// Certificate chain in PEM; with it and `tls_key` the port speaks TLS. All files of TLS
        /// may be exchanged while the service runs; a set that is no good changes nothing.
        pub tls_certificate: Option<PathBuf> = None,
        /// Private key of the certificate, in PEM.
        pub tls_key: Option<PathBuf> = None,
        /// Certificate chains in PEM for further names, each with its key at the same place in
        /// `tls_more_keys`. The name that a client asks for chooses among all of them; who asks
        /// for none of their names gets `tls_certificate`.
        pub tls_more_certificates: Vec<PathBuf> = Vec::new(),
        /// Private keys of `tls_more_certificates`, in PEM.
        pub tls_more_keys: Vec<PathBuf> = Vec::new(),
        /// Whether clients show a certificate of their own: "optional" lets in who shows none.
        pub tls_clients: ClientCertificates = ClientCertificates::None,
        /// Certificates in PEM of the authorities that sign those of clients.
        pub tls_client_authorities: Option<PathBuf> = None,
        /// How often the files of TLS are looked at for a change. SIGHUP has them read at once.
        #[check(between(Duration::from_millis(10), LONGEST))]
        pub tls_reload_interval: Duration = Duration::from_secs(10),
        /// TLS handshakes that have answered their client and wait for it. One more ends the one
        /// that has waited longest, so that clients which stall keep nobody out.
        #[check(between(1, 100_000))]
        pub tls_handshakes_max: usize = 1_000,
        /// Address and port for cleartext requests, which are all sent to https (308) if the
        /// certificates hold for the host they ask for.
        pub redirect_listen: Option<SocketAddr> = None,
        /// The port that those are sent to: the one that clients see.
        pub redirect_port: NonZeroU16 = HTTPS,
        /// Networks of the load balancers and proxies in front of the service. Who the client is,
        /// they are believed and nobody else.
        pub proxies: Vec<Network> = Vec::new(),
        /// Whether their connections begin with a PROXY header of version 2. One without a good
        /// header is closed then.
        pub proxy_protocol: bool = false,
        /// The header of their requests that tells who the client is.
        pub proxy_header: ForwardedBy = ForwardedBy::None,
        /// Hosts that requests may be for: names, `*.example.org` for all names below one, and IP
        /// addresses, without ports; a request for another is 421. Empty means that all may.
        pub allowed_hosts: Vec<Host> = Vec::new(),
        /// Connections open at once, or fewer where the system's limit of open files is lower.
        /// The next one is not accepted: it waits in the kernel, where it costs nothing.
        #[check(between(1, 1_000_000))]
        pub connections_max: usize = 10_000,
        /// Connections open at once from one address (IPv6: one /64); the next is closed unread.
        /// Half of all, so that one client cannot take the places of everybody else. Behind a
        /// load balancer all come from its address: raise it to `connections_max` there.
        #[check(between(1, 1_000_000))]
        pub connections_per_address_max: usize = 5_000,
        /// Age at which a connection is told to end: GOAWAY on HTTP/2, `connection: close` with
        /// an answer on HTTP/1.1; a tenth more or less, by chance. So clients come back, and are
        /// spread anew over shards and replicas; an hour costs nothing and is enough for that.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub connection_age_max: Duration = Duration::from_secs(60 * 60),
        /// Requests on one connection, which is then told to end as for its age. So nothing can
        /// add up on one connection for ever, and the handshakes are too seldom to be felt.
        #[check(between(1, u32::MAX))]
        pub connection_requests_max: u32 = 100_000,
        /// Memory that the bodies of all requests, and the buffers of all answers that are sent
        /// in parts, may occupy at once in this process; the next body is refused with 503. A
        /// body on HTTP/2 counts with its window from the beginning, because the client may fill
        /// that without asking; from then on with what has come, up to `body_max`.
        #[check(between(ByteSize::kib(64), ByteSize::mib(1024 * 1024)))]
        pub bytes_in_flight_max: ByteSize = ByteSize::mib(256),
        /// Requests worked on at once, from their head to the last byte of their answer.
        #[check(between(1, 1_000_000))]
        pub requests_in_flight_max: usize = 512,
        /// Requests that may wait for their turn; the next is refused with 503.
        #[check(at_most(1_000_000))]
        pub requests_waiting_max: usize = 512,
        /// Time a request may take until its answer begins; then it is 504.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub request_timeout: Duration = Duration::from_secs(10),
        /// Time from a connection's first byte to its first whole request head, TLS and
        /// the PROXY header included.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub first_request_timeout: Duration = Duration::from_secs(10),
        /// Time a request's head may take on HTTP/1.1 from its first byte to its last; then it
        /// is 408. A head fits into one packet or a few, so this is for bad networks.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub header_timeout: Duration = Duration::from_secs(10),
        /// Time a connection may stay open without a request, on HTTP/2 too.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub idle_timeout: Duration = Duration::from_secs(75),
        /// Time that a connection which has become something else, such as a WebSocket, may stay
        /// open with no byte in either direction. Browsers send no pings of their own: a service
        /// that may have nothing to say for longer sends them. In the drain it has until
        /// `drain_timeout`.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub upgraded_idle_timeout: Duration = Duration::from_secs(300),
        /// Age at which such a connection is ended, a tenth more or less, by chance. Longer than
        /// `connection_age_max`, because nobody can tell it to end in its own words.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub upgraded_age_max: Duration = Duration::from_secs(12 * 60 * 60),
        /// Time a client may take nothing of an answer that is ready for it; then the
        /// connection is cut, or on HTTP/2 that stream, because a reader that has stopped holds
        /// a request's place. An answer is given out in pieces of 64 KiB, so who takes less than
        /// that in this time has stopped.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub write_stall_timeout: Duration = Duration::from_secs(30),
        /// Time in which an answer that has begun must go on, where what it is made of does not
        /// come: rows, or events. Then it is broken off. Streams of events say something in
        /// between; with axum's `KeepAlive` it is every 15 seconds.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub source_stall_timeout: Duration = Duration::from_secs(60),
        /// Time that the body of a request may make its handler wait, and longer by what has
        /// come of it at `body_rate_min`; then it is 408.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub body_timeout: Duration = Duration::from_secs(5),
        /// Bytes per second that a client has to send of a body, on average. A bad mobile
        /// network has ten times that.
        #[check(between(ByteSize::bytes(1), ByteSize::mib(1024)))]
        pub body_rate_min: ByteSize = ByteSize::kib(1),
        /// Whether answers made of rows (JSON array, NDJSON, CSV, COPY) are compressed for clients
        /// that accept it: zstd, br or gzip, each at its quickest and with less than a megabyte
        /// of memory for a reader. It takes the service some 10 ms of a core per megabyte.
        pub rows_compressed: bool = true,
        /// Largest body of a request; more is 413. A route can have a limit of its own: `BodyMax`.
        #[check(at_most(ByteSize::mib(1024)))]
        pub body_max: ByteSize = ByteSize::mib(2),
        /// Largest head of a request; more is 431.
        #[check(between(ByteSize::kib(8), ByteSize::mib(1)))]
        pub header_max: ByteSize = ByteSize::kib(32),
        /// Most fields in the head of a request; more is 431. Browsers send some twenty.
        #[check(between(1, 100))]
        pub header_count_max: usize = 100,
        /// Longest target of a request; more is 414. RFC 9110 §4.1 asks for 8,000 bytes at least.
        #[check(between(ByteSize::bytes(1), ByteSize::kib(60)))]
        pub uri_max: ByteSize = ByteSize::kib(8),
        /// Requests at once on one HTTP/2 connection.
        #[check(between(1, 10_000))]
        pub http2_streams_max: u32 = 100,
        /// What a client may send ahead on one HTTP/2 request before somebody reads it. It is
        /// taken from `bytes_in_flight_max` as soon as a request with a body begins.
        #[check(between(ByteSize::kib(1), ByteSize::mib(1024)))]
        pub http2_stream_window: ByteSize = ByteSize::kib(64),
        /// What a client may send ahead on one HTTP/2 connection.
        #[check(between(ByteSize::kib(64), ByteSize::mib(1024)))]
        pub http2_connection_window: ByteSize = ByteSize::mib(1),
        /// Frames that one HTTP/2 connection may send in ten seconds and that go with no work:
        /// SETTINGS, PING, PRIORITY, WINDOW_UPDATE, RST_STREAM, DATA without data, unknown ones.
        /// One more ends it with ENHANCE_YOUR_CALM. With work go 8 for each request, 2 for each
        /// part of an answer, and one for each 256 bytes of it: more than any client needs.
        #[check(between(10, 1_000_000))]
        pub http2_control_frames_max: u32 = 1_000,
        /// How often a silent HTTP/2 connection is asked whether it is still there.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub http2_ping_interval: Duration = Duration::from_secs(20),
        /// Time between "not ready" and the end of accepting, for load balancers to notice.
        #[check(at_most(LONGEST))]
        pub drain_delay: Duration = Duration::ZERO,
        /// Time that running requests have to finish once no more are accepted.
        #[check(at_most(LONGEST))]
        pub drain_timeout: Duration = Duration::from_secs(30),
        /// Time that a stream of events (`text/event-stream`) may go on then, at most four fifths
        /// of `drain_timeout`. It ends between two events, and its client comes back by itself, to
        /// another instance. Streams that come to an end of their own need long enough for it.
        #[check(at_most(LONGEST))]
        pub drain_events_timeout: Duration = Duration::from_secs(10),
    }
}

tenfold_config::settings! {
    /// The port of the one who runs the service: health, metrics, settings.
    pub struct AdminSettings in "admin" {
        /// Address and port; on loopback because it shows what strangers need not see.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9090)),
    }
}
