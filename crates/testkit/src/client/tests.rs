//! The client against servers that are one write long.

use tokio::net::TcpListener;

use super::*;

/// What a server does with the one connection that it accepts, after it has read a request.
async fn server(answer: &'static str, how: Closed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while find(&request, b"\r\n\r\n").is_none() {
            if stream.read_buf(&mut request).await.unwrap() == 0 {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        if how == Closed::Reset {
            // The answer must have arrived: a reset throws away what the client has not read.
            tokio::time::sleep(Duration::from_millis(100)).await;
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    address
}

async fn check(answer: &'static str, how: Closed) -> String {
    match get(server(answer, how).await, "/").await {
        Ok(response) => format!("{} {:?} {:?}", response.status, response.text(), response.end),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn reads_bodies_of_each_framing() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(check(length, Closed::Politely).await, r#"200 "hello" Complete"#);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nsum: 1\r\n\r\n";
    assert_eq!(check(chunked, Closed::Politely).await, r#"200 "hello" Complete"#);
    let until_closed = "HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(check(until_closed, Closed::Politely).await, r#"200 "hello" Complete"#);
    let continued = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(check(continued, Closed::Politely).await, r#"204 "" Complete"#);
}

#[tokio::test]
async fn tells_a_body_that_ends_early() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
    assert_eq!(check(length, Closed::Politely).await, r#"200 "hello" Early"#);
    for chunked in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        assert_eq!(check(chunked, Closed::Politely).await, r#"200 "hello" Early"#, "{chunked:?}");
    }
    let reset = "HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(check(reset, Closed::Reset).await, r#"200 "hello" Early"#);
}

#[tokio::test]
async fn tells_how_a_head_fails() {
    assert_eq!(
        check("HTTP/1.1 200", Closed::Politely).await,
        r#"the connection ended before a response did: got "HTTP/1.1 200""#
    );
    assert_eq!(
        check("", Closed::Reset).await,
        r#"the connection was reset before a response came: got """#
    );
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(
        check(chunk, Closed::Politely).await,
        r#"not an HTTP/1.1 response: size of a chunk: "zz""#
    );
}

#[tokio::test(start_paused = true)]
async fn is_patient_for_so_long() {
    let (near, _far) = tokio::io::duplex(64);
    let mut client = Client::over(near).with_patience(Duration::from_secs(3));
    let error = client.read_response().await.unwrap_err();
    assert!(matches!(error, ReadError::TimedOut { patience, .. } if patience.as_secs() == 3));
    let error = client.send([0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn two_responses_share_a_connection() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut client = Client::over(near);
    far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 404 No\r\n")
        .await
        .unwrap();
    assert_eq!(client.read_response().await.unwrap().body, b"a");
    far.write_all(b"content-length: 1\r\n\r\nb").await.unwrap();
    let second = client.read_response().await.unwrap();
    assert_eq!((second.status, second.body.as_slice()), (404, b"b".as_slice()));
}

#[tokio::test]
async fn reads_at_a_pace_of_its_own() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut client = Client::over(near);
    far.write_all(b"abcde").await.unwrap();
    drop(far);
    assert_eq!(client.read_some(2).await.unwrap(), b"ab");
    assert_eq!(client.read_some(9).await.unwrap(), b"cde");
    assert_eq!(client.read_some(9).await.unwrap(), b"");
}

#[tokio::test]
async fn leaves_politely_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();

    let client = Client::connect(address).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    client.leave();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);

    let client = Client::connect_with_receive_buffer(address, 4096).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    client.abort();
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

    let mut client = Client::connect(address).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    client.stop_sending().await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    stream.write_all(b"still here").await.unwrap();
    drop(stream);
    let (rest, how) = client.read_until_closed().await.unwrap();
    assert_eq!((rest.as_slice(), how), (b"still here".as_slice(), Closed::Politely));
}

#[tokio::test]
async fn sends_slowly() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut client = Client::over(near);
    client.send_slowly(b"abc", 1, Duration::from_millis(1)).await.unwrap();
    drop(client);
    let mut got = String::new();
    far.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "abc");
}

#[tokio::test]
async fn agrees_on_a_protocol_over_tls() {
    use std::sync::Arc;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, crypto};

    let signed = SelfSigned::new().unwrap();
    let certificate = CertificateDer::from_pem_file(signed.certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(signed.key()).unwrap();
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let serve = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let refused = acceptor.accept(tcp).await.map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("fatal alert"), "{refused}");
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await.unwrap();
        stream.flush().await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
        // Dropped without close_notify: the client must see the body as cut off.
    });
    let stranger = SelfSigned::new().unwrap();
    Client::connect_tls(address, &stranger, &[]).await.unwrap_err();
    let mut client = Client::connect_tls(address, &signed, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(client.protocol(), Some("http/1.1"));
    client.send("GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let response = client.read_response().await.unwrap();
    assert_eq!((response.text().as_str(), response.end), ("hello", End::Early));
    serve.await.unwrap();
}
