//! Ports that somebody else has.

use std::net::TcpListener;

use crate::support::{fails, tenfold};

#[tokio::test]
async fn a_taken_port_is_named_with_the_setting_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (key, other) in [("server.listen", "admin.listen"), ("admin.listen", "server.listen")] {
        let (key_set, other_set) = (format!("{key}={address}"), format!("{other}=127.0.0.1:0"));
        let demo = tenfold(["demo", "--no-load", "--set", &key_set, "--set", &other_set]);
        assert_eq!(
            fails(demo).await,
            format!(
                "error: {address} is in use: another process listens there; \
                 choose another `{key}`"
            )
        );
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    // One that is set aside for documentation.
    let demo = tenfold([
        "demo",
        "--no-load",
        "--set",
        "server.listen=192.0.2.1:80",
        "--set",
        "admin.listen=127.0.0.1:0",
    ]);
    assert_eq!(
        fails(demo).await,
        "error: 192.0.2.1:80 is not available: this machine has no such address; \
         choose another `server.listen`"
    );
}
