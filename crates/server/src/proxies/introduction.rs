//! Reads the PROXY header from the beginning of a connection, and not a byte more.

use std::io;
use std::net::IpAddr;

use tenfold_context::Deadline;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout_at;

use super::protocol::{FIXED_BYTES, HeaderError, fixed};

/// Why a proxy did not introduce its client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntroductionError {
    #[error("the PROXY header was not there in time")]
    Late,
    #[error("the connection ended within the PROXY header: {0}")]
    Ended(#[from] io::Error),
    #[error("no PROXY header that can be believed: {0}")]
    Wrong(#[from] HeaderError),
}

impl IntroductionError {
    /// One word for metrics.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            IntroductionError::Late => "late",
            IntroductionError::Ended(_) => "ended",
            IntroductionError::Wrong(_) => "wrong",
        }
    }
}

/// Whom the proxy speaks for; nobody, if it speaks for itself.
pub(crate) async fn introduced(
    stream: &mut (impl AsyncRead + Unpin),
    deadline: Deadline,
) -> Result<Option<IpAddr>, IntroductionError> {
    let read = timeout_at(deadline.instant(), read(stream));
    read.await.unwrap_or(Err(IntroductionError::Late))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, IntroductionError> {
    let mut head = [0; FIXED_BYTES];
    stream.read_exact(&mut head).await?;
    let fixed = fixed(&head)?;
    // A few dozen bytes as a rule, and bounded by `fixed`.
    let mut rest = vec![0; fixed.rest_bytes];
    stream.read_exact(&mut rest).await?;
    Ok(fixed.source(&rest)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    const HEADER: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\xff\xff\x01\xbb";

    #[tokio::test(start_paused = true)]
    async fn what_follows_the_header_is_left_for_others() {
        let (mut proxy, mut server) = tokio::io::duplex(64);
        proxy.write_all(HEADER).await.unwrap();
        proxy.write_all(b"GET /").await.unwrap();
        let deadline = Deadline::after(Duration::from_secs(1));
        let client = introduced(&mut server, deadline).await.unwrap();
        assert_eq!(client, Some([192, 0, 2, 1].into()));
        drop(proxy);
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "GET /");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_in_crumbs_has_its_time_and_no_more() {
        for pause in [Duration::from_millis(1), Duration::from_millis(100)] {
            let (mut proxy, mut server) = tokio::io::duplex(64);
            let crumbs = async {
                for byte in HEADER {
                    tokio::time::sleep(pause).await;
                    if proxy.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            };
            let deadline = Deadline::after(Duration::from_secs(1));
            let (introduced, ()) = tokio::join!(
                async {
                    let introduced = introduced(&mut server, deadline).await;
                    drop(server);
                    introduced
                },
                crumbs
            );
            match introduced {
                Ok(client) => {
                    assert_eq!((client, pause.as_millis()), (Some([192, 0, 2, 1].into()), 1));
                }
                Err(error) => assert_eq!((error.outcome(), pause.as_millis()), ("late", 100)),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_early_or_is_none_is_told_apart() {
        for (sent, outcome) in
            [(&HEADER[..20], "ended"), (&b"GET / HTTP/1.1\r\n"[..], "wrong"), (&b""[..], "ended")]
        {
            let (mut proxy, mut server) = tokio::io::duplex(64);
            proxy.write_all(sent).await.unwrap();
            drop(proxy);
            let deadline = Deadline::after(Duration::from_secs(1));
            let error = introduced(&mut server, deadline).await.unwrap_err();
            assert_eq!(error.outcome(), outcome);
        }
    }
}
