//! Command lines that make no sense: exit code 2, and what would be right.

use std::fs;

use super::{check, load};

const URL: &str = "http://127.0.0.1:1/";

#[tokio::test]
async fn what_makes_no_sense_is_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(&file, "target = \"http://127.0.0.1:1\"\n[[request]]\npth = \"/\"\n").unwrap();
    let file = file.display();
    for (arguments, words) in [
        ("run", "<URL>"),
        ("run shop", "\"shop\" has no scheme"),
        ("init shop", "\"shop\" has no scheme"),
        ("run http://127.0.0.1:99999/", "a port that is no number from 1 to 65535"),
        ("init http://127.0.0.1:/", "a port that is no number from 1 to 65535"),
        ("run --scenario /dev/zero", "cannot be read: it is larger than 16 MiB"),
        ("run URL --trace /dev/zero", "/dev/zero: it is larger than 64 MiB"),
        ("run --scenario FILE", "line 3: "),
        ("run --scenario nowhere.toml", "cannot be read"),
        ("run URL --scenario FILE", "cannot be used with"),
        ("run URL --rate 0", "'0' for '--rate <RATE>': a number above 0 is needed"),
        ("run URL --rate 1e300", "'1e300' for '--rate <RATE>': no more than 10000000 per second"),
        ("run URL --steps 5,1e8", "'1e8' for '--steps <RATE,…>': no more than 10000000 per"),
        ("limit URL --rate-max 1e9", "'1e9' for '--rate-max <RATE>': no more than 10000000"),
        ("overload URL --limit 1e9", "'1e9' for '--limit <RATE>': no more than 10000000"),
        ("run URL --duration soon", "a length of time is needed, such as 500ms"),
        ("run URL --threads 65", "'65' for '--threads <N>': 65 is not in 1..=64"),
        ("run URL --arrivals odd", "[possible values: even, poisson]"),
        ("run URL --users 3 --arrivals poisson", "'--arrivals <ARRIVALS>' cannot be used with"),
        ("run URL --users 3 --rate 5", "cannot be used with"),
        ("run URL --think 1s", "--users <N>"),
        ("run URL --compare nowhere.json", "cannot read nowhere.json"),
        ("run URL --compare /dev/zero", "cannot read /dev/zero: it is larger than 64 MiB"),
        ("run URL --report /dev/null/a", "'/dev/null/a' for '--report <FOLDER>': cannot make it"),
        ("limit URL --metrics https://a", "'https://a' for '--metrics <URL>': "),
        ("limit URL --good-share 2", "'2' for '--good-share <SHARE>': a share between 0 and 1"),
        (
            "limit URL --rate-first 9 --rate-max 5",
            "--rate-first is 9, above --rate-max, which is 5",
        ),
        ("limit URL --at-least 0", "'0' for '--at-least <RATE>': a number above 0"),
        ("overload URL --times 1,-2", "'-2' for '--times <N,…>': a number above 0"),
        ("overload URL --times 1,10001", "'10001' for '--times <N,…>': no more than 10000 times"),
        ("overload URL --limit 1e6 --times 1,11", "--limit 1000000 --times 11 is more than 10000"),
        ("overload URL --retries 101", "'101' for '--retries <N>': 101 is not in 1..=100"),
        ("overload URL --flood 1.5", "'1.5' for '--flood [<SHARE>]': a share between 0 and 1"),
        ("overload URL --slow-readers all", "'all' for '--slow-readers [<SHARE>]': a share"),
        ("overload URL --pause 1", "'1' for '--pause <PID>': process 1 cannot be paused: the"),
        ("overload URL --pause 999999999", "'999999999' for '--pause <PID>': process 999999999"),
        ("overload URL --pause me", "'me' for '--pause <PID>': the number of a process"),
        ("overload URL --pause-for 1s", "--pause <PID>"),
        ("overload URL --cold /no/such", "'/no/such' for '--cold <COMMAND>': no program"),
        ("overload URL --cold no-such-thing", "'no-such-thing' for '--cold <COMMAND>': no program"),
        ("overload URL --cold-url ftp://a", "'ftp://a' for '--cold-url <URL>': "),
        ("overload URL --cold true --cold-url URL", "cannot be used with"),
        ("overload URL --goodput-min 90", "'90' for '--goodput-min <SHARE>': a share"),
        ("overload URL --recovery-max 0s", "'0s' for '--recovery-max <TIME>': a length"),
        ("overload URL --recovery-max 9s --rest 9s", "'9s' for '--rest <TIME>': to judge --recov"),
        ("export-k6 FILE", "line 3: "),
    ] {
        let arguments = arguments.replace("URL", URL).replace("FILE", &file.to_string());
        let output = load(&arguments).await;
        check(&output, 2);
        assert!(output.stderr.contains(words), "{arguments}: {}", output.stderr);
        assert_eq!(output.stdout, "", "nothing was begun");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let flags = "--rate 0 --duration soon --connections none";
    let values = load(&format!("run {URL} {flags}")).await;
    check(&values, 2);
    assert_eq!(values.stderr.matches("error: invalid value").count(), 3, "{}", values.stderr);

    let flags = "--pause 1 --metrics https://a --cold-url ftp://b --compare no.json --rest 1s";
    let output = load(&format!("overload shop {flags} --recovery-max 2s")).await;
    check(&output, 2);
    for flag in ["\"shop\"", "--pause", "--metrics", "--cold-url", "--compare", "--rest"] {
        assert!(output.stderr.contains(flag), "{flag}: {}", output.stderr);
    }
}
