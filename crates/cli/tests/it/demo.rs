//! `tenfold demo`, when all is well.

use std::process::Command;

use tenfold_testkit::{Program, get};

use crate::support::{check_that_nothing_is_left, demo, psql, run, scratch, serving, tenfold};

#[tokio::test]
async fn one_round_answers_every_request_and_leaves_nothing() {
    let program = Program::start(demo(["--once", "--products", "2000"])).unwrap();
    let id = program.id();
    let output = program.end().await;
    assert_eq!(output.status.code(), Some(0), "{}{}", output.stdout, output.stderr);
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("2,000 products loaded in "), "{}", output.stdout);
    check_round(&output.stdout, "2,000 products");
    check_that_nothing_is_left(id);
}

/// Each of the five requests has a line with the status and the find that it should have.
fn check_round(stdout: &str, exported: &str) {
    for (request, status, found) in [
        ("GET  /products?limit=50", "200", "50 products"),
        ("GET  /products/search?words=lamp", "200", "hits"),
        ("POST /orders", "201", "1 order"),
        ("GET  /products/1/label.png?size=640", "200", "a PNG"),
        ("GET  /export.ndjson", "200", exported),
    ] {
        let line = stdout.lines().find(|line| line.trim_start().starts_with(request));
        let line = line.unwrap_or_else(|| panic!("no {request} in\n{stdout}"));
        let rest = line.trim_start().trim_start_matches(request).trim_start();
        assert!(rest.starts_with(status) && rest.ends_with(found), "{line}");
    }
}

#[tokio::test]
async fn psql_connects_to_the_address_that_is_printed() {
    let (program, addresses) = serving(["--products", "1234"]).await;
    assert_eq!(psql(&addresses.database, "SELECT count(*) FROM products"), "1234");
    let page = get(addresses.server, "/products?limit=5").await.unwrap();
    assert_eq!((page.status, page.text().matches("\"sku\"").count()), (200, 5));
    assert_eq!(get(addresses.admin, "/readyz").await.unwrap().status, 200);
    program.signal("INT");
    assert_eq!(program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn what_is_kept_is_there_again_even_when_a_product_is_sold_out() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let data = data.to_str().unwrap();

    let first = run(demo(["--once", "--products", "300", "--data", data])).await;
    assert_eq!(first.status.code(), Some(0), "{}{}", first.stdout, first.stderr);
    check_round(&first.stdout, "300 products");

    let (program, addresses) = serving(["--products", "77", "--data", data]).await;
    assert!(program.said().contains("300 products were there already"), "{}", program.said());
    assert_eq!(psql(&addresses.database, "SELECT count(*) FROM orders"), "2");
    psql(&addresses.database, "UPDATE products SET stock = 0 WHERE id = 1");
    program.signal("INT");
    assert_eq!(program.end().await.status.code(), Some(0));

    let third = run(demo(["--once", "--data", data])).await;
    assert_eq!(third.status.code(), Some(0), "{}{}", third.stdout, third.stderr);
    let sold_out =
        third.stdout.lines().any(|line| line.contains("409") && line.ends_with("sold out"));
    assert!(sold_out, "{}", third.stdout);
}

#[tokio::test]
async fn an_answer_that_is_not_as_it_should_be_is_exit_code_1() {
    // The order, alone among the requests, has a body.
    let output = run(demo(["--once", "--products", "300", "--set", "server.body_max=1B"])).await;
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    let order = output.stdout.lines().find(|line| line.contains("POST /orders")).unwrap();
    assert!(order.contains("413") && order.contains("not as expected"), "{order}");
}

#[tokio::test]
async fn it_needs_no_environment_at_all() {
    let mut command = demo(["--once", "--products", "100"]);
    command.env_clear();
    let output = run(command).await;
    // Debian's Postgres is found where it lies; without one, a sentence says how to get it.
    match output.status.code() {
        Some(0) => check_round(&output.stdout, "100 products"),
        _ => assert!(
            output.stderr.starts_with("error: no Postgres is installed on this machine")
                && output.stderr.contains("apt-get install postgresql"),
            "{}",
            output.stderr
        ),
    }
}

#[tokio::test]
async fn a_closed_output_is_no_reason_to_leave_anything() {
    let program = env!("CARGO_BIN_EXE_tenfold");
    let mut command = Command::new("sh");
    let script = format!(
        "{program} demo --once --no-load --products 100 --set server.listen=127.0.0.1:0 \
        --set admin.listen=127.0.0.1:0 | head -n 1; echo done"
    );
    command.args(["-c", &script]).env_remove("DATABASE_URL");
    let output = run(command).await;
    assert!(output.stdout.ends_with("done\n"), "{}", output.stdout);
    assert_eq!(output.stderr, "");
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_code_2() {
    for (wrong, expected) in [
        (&["demo", "--products", "0"][..], "0 is not in 1..=1000000"),
        (&["demo", "--products", "1000001"], "1000001 is not in 1..=1000000"),
        (&["demo", "--products", "abc"], "invalid value 'abc' for '--products <N>'"),
        (&["demo", "--products"], "a value is required for '--products <N>'"),
        (&["demo", "--onec"], "unexpected argument '--onec' found"),
        (&["dmeo"], "unrecognized subcommand 'dmeo'"),
        (&["config"], "Usage: tenfold config"),
        (&[], "Usage: tenfold <COMMAND>"),
    ] {
        let output = run(tenfold(wrong.iter().copied())).await;
        assert_eq!((output.status.code(), output.stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}
