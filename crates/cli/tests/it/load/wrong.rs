//! Command lines that make no sense: exit code 2, and what would be right.

use std::fs;
use std::process::Command;

use super::{check, load};
use crate::support::run;

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
        ("run URL --rate -5", "'-5' for '--rate <RATE>': a number above 0 is needed"),
        ("run URL --rate=-5", "'-5' for '--rate <RATE>': a number above 0 is needed"),
        ("run URL --steps -1,5", "'-1' for '--steps <RATE,…>': a number above 0 is needed"),
        ("run URL --duration -5s", "'-5s' for '--duration <TIME>': a length of time is needed"),
        ("run URL --users 1 --think -1s", "'-1s' for '--think <TIME>': a length of time is needed"),
        ("run URL --threads -1", "'-1' for '--threads <N>': -1 is not in 1..=64"),
        ("run -5", "\"-5\" has no scheme"),
        ("limit URL --at-least -1", "'-1' for '--at-least <RATE>': a number above 0"),
        ("limit URL --probe -1s", "'-1s' for '--probe <TIME>': a length of time is needed"),
        ("overload URL --limit -0.5", "'-0.5' for '--limit <RATE>': a number above 0 is needed"),
        ("overload URL --times -1,2", "'-1' for '--times <N,…>': a number above 0 is needed"),
        ("overload URL --flood -0.5", "'-0.5' for '--flood [<SHARE>]': a share between 0 and 1"),
        ("overload URL --pause -5", "'-5' for '--pause <PID>': the number of a process"),
        (
            "run URL --connections 4294967295",
            "'4294967295' for '--connections <N>': this process may have no more than ",
        ),
        ("overload URL --connections 4294967295", " open files (ulimit -n)"),
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
        ("run URL --report /dev/null/a", "'/dev/null/a' for '--report <FOLDER>': nothing can be"),
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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_takes_no_file_is_told_before_anything_is_measured() {
    for command in ["run", "limit", "overload --limit 5"] {
        let output = load(&format!("{command} {URL} --report /proc")).await;
        check(&output, 2);
        let said = "'/proc' for '--report <FOLDER>': nothing can be written there: ";
        assert!(output.stderr.contains(said), "{}", output.stderr);
        assert_eq!(output.stdout, "");
    }
}

#[tokio::test]
async fn what_a_scenario_cannot_have_here_is_wrong_usage_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(folder.path().join("note.pem"), "no certificate").unwrap();
    for (client, words) in [
        ("ca_file = \"absent.pem\"", "absent.pem: cannot be read: No such file or directory"),
        ("ca_file = \"note.pem\"", "note.pem: there is no certificate in it; a file of"),
        ("connections_max = 1000000", "connections_max is 1000000, but this process may have no"),
    ] {
        let text = "target = \"https://127.0.0.1:1\"\n[[request]]\npath = \"/\"\n[client]\n";
        fs::write(&file, format!("{text}{client}\n")).unwrap();
        for command in ["run", "limit", "overload --limit 5"] {
            // Where a process may have more files open than are asked for, there is nothing wrong.
            let limited = "ulimit -n 4096; exec \"$@\"";
            let program = env!("CARGO_BIN_EXE_tenfold");
            let mut line = Command::new("sh");
            line.args(["-c", limited, "sh", program, "load"]).args(command.split(' '));
            line.arg("--scenario").arg(&file);
            let output = run(line).await;
            check(&output, 2);
            assert!(output.stderr.contains(words), "{command}: {}", output.stderr);
            assert_eq!(output.stdout, "", "nothing was begun");
        }
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
