//! What strangers may send where proxies speak: changed in every way for as long as one likes
//! (`cargo xtask fuzz`), and a little each time the tests run. The inputs that it begins with are
//! in `fuzz/`; one that failed once belongs there too.

use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tenfold_config::environment;
use tenfold_testkit::{Effort, fuzz};

use super::protocol::{FIXED_BYTES, HeaderError, SIGNATURE, parse};
use super::{ForwardedBy, Proxies};

fn run(name: &str, check: impl FnMut(&[u8])) {
    let effort = match environment::var("TENFOLD_TEST_FUZZ_SECONDS") {
        Some(seconds) => Effort::Time(Duration::from_secs(seconds.parse().unwrap())),
        None => Effort::Inputs(20_000),
    };
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name);
    let seed = environment::var("TENFOLD_TEST_FUZZ_SEED").map_or(5, |seed| seed.parse().unwrap());
    println!("{} inputs", fuzz(&corpus, seed, effort, check));
}

#[test]
fn fuzz_proxy_header() {
    run("proxy_header", |input| match parse(input) {
        Ok(Some((_, length))) => {
            assert!((FIXED_BYTES..=FIXED_BYTES + 4096).contains(&length));
            assert!(length <= input.len() && input.starts_with(&SIGNATURE));
            // What follows a header changes nothing of it, and no part of it is one.
            assert_eq!(parse(&input[..length]), parse(input));
            assert_eq!(parse(&input[..length - 1]), Ok(None));
        }
        // It may still become one: so it must be short.
        Ok(None) => assert!(input.len() < FIXED_BYTES + 4096),
        // More of it does not help.
        Err(HeaderError::Signature) => assert_ne!(input.first_chunk(), Some(&SIGNATURE)),
        Err(_) => assert!(input.len() >= FIXED_BYTES),
    });
}

#[test]
fn fuzz_forwarded() {
    let trusted = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let peer = [10, 0, 0, 1].into();
    run("forwarded", |input| {
        for (header, name) in
            [(ForwardedBy::Forwarded, "forwarded"), (ForwardedBy::XForwardedFor, "x-forwarded-for")]
        {
            let proxies = Proxies { trusted: trusted.clone(), protocol: false, header };
            let mut headers = HeaderMap::new();
            for line in input.split(|byte| *byte == b'\n') {
                if let Ok(line) = HeaderValue::from_bytes(line) {
                    headers.append(name, line);
                }
            }
            let said = proxies.client(peer, &headers);
            // Whatever a client sent, what a trusted proxy wrote behind it is what counts.
            headers.append(
                name,
                if name == "forwarded" { "for=192.0.2.7" } else { "192.0.2.7" }.parse().unwrap(),
            );
            assert_eq!(proxies.client(peer, &headers), std::net::IpAddr::from([192, 0, 2, 7]));
            // A stranger's header says nothing.
            let stranger = [192, 0, 2, 1].into();
            assert_eq!(proxies.client(stranger, &headers), stranger);
            assert_eq!(said, said.to_canonical());
        }
    });
}
