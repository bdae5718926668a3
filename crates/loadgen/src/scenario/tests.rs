//! Scenario files are read whole, and everything that is wrong with one is told at once.

use super::*;

fn parse(text: &str) -> Result<Scenario, ScenarioErrors> {
    Scenario::parse(text, Path::new("no-such-folder"))
}

#[test]
fn a_whole_scenario_is_read() {
    let scenario = parse(
        r#"
        target = "https://shop.example:8443"
        [good]
        status = ["2xx", 304]
        latency_max = "250ms"
        [lists]
        words = ["red shoe", "hat"]
        [[request]]
        class = "browse"
        weight = 9
        path = "/products/{{zipf 1 1000 1.1}}?q={{list words}}"
        headers = { Accept = "application/json" }
        [[request]]
        name = "buy"
        class = "order"
        method = "POST"
        path = "/orders"
        body = '{"n": {{sequence}}}'
        capture = { order = "/id" }
        good = { status = [201], body_contains = "id" }
        [[request]]
        class = "order"
        path = "/orders/{{captured order or 1}}"
        [client]
        http = "2"
        insecure = true
        connections_max = 3
        retries = 2
        retry_after = false
        leave_early_share = 0.5
        [thresholds]
        good_share_min = 0.99
        [thresholds.class.order]
        p99_max = "1s"
        "#,
    )
    .unwrap();
    assert_eq!(scenario.target.url(), "https://shop.example:8443");
    assert_eq!(scenario.classes, ["browse", "order"]);
    assert_eq!(scenario.captured, ["order"]);
    let [browse, buy, look] = scenario.requests.as_slice() else { panic!("three requests") };
    assert_eq!((browse.name.as_str(), browse.weight), ("GET /products/?q=", 9.0));
    assert_eq!(browse.headers[0].0, "accept");
    assert!(browse.good.takes(304) && browse.good.takes(204) && !browse.good.takes(404));
    assert_eq!(browse.good.latency_max, Duration::from_millis(250));
    assert!(buy.good.takes(201) && !buy.good.takes(200));
    assert_eq!(buy.good.latency_max, Duration::from_millis(250), "as the whole scenario says");
    assert_eq!(buy.captures, [Capture { name: 0, pointer: "/id".to_owned() }]);
    assert_eq!((buy.class, look.class), (1, 1));
    let behaviour = &scenario.behaviour;
    assert_eq!(behaviour.protocol, Protocol::Http2);
    assert!(behaviour.insecure && !behaviour.retries.honour_retry_after);
    assert_eq!((behaviour.connections_max, behaviour.retries.max), (Some(3), 2));
    assert_eq!(scenario.thresholds.all.good_share_min, Some(0.99));
    assert_eq!(scenario.thresholds.classes[0].1.p99_max, Some(Duration::from_secs(1)));
}

#[test]
fn every_error_is_told_at_once_with_its_line() {
    let wrong = parse(
        r#"target = "http://127.0.0.1:8080/shop"
colour = "red"
[good]
status = ["3xxx"]
latency_max = 500
[lists]
words = "words.txt"
[[request]]
clas = "browse"
path = "products"
method = "get"
[[request]]
path = "/{{zipf 1 10}}"
weight = -1
headers = { host = "x", "a b" = "c" }
[[request]]
capture = { order = "id" }
[client]
conections_max = 3
http = "3"
retries = "many"
[thresholds.class.orders]
p99 = "1s"
"#,
    )
    .unwrap_err();
    let expected = [
        "line 1: `target` has the path /shop: \"http://127.0.0.1:8080\" is needed; paths belong to requests",
        "line 2: unknown key `colour`: there are target, client, good, lists, request, thresholds",
        "line 4: `good.status`, value 1, is \"3xxx\": did you mean \"3xx\"?",
        "line 5: `good.latency_max` is 500: a duration up to \"1d\" (such as \"250ms\", \"2s\" or \"1m\") is needed",
        "line 7: `lists.words` cannot be read from no-such-folder/words.txt: No such file or directory (os error 2)",
        "line 9: unknown key `request 1.clas`: did you mean `class`?",
        "line 10: `request 1.path` is \"products\": it must begin with / and have neither spaces nor #, such as \"/search?q=red%20shoe\"",
        "line 11: `request 1.method` is \"get\": did you mean \"GET\"?",
        "line 13: `request 2.path`: `{{zipf 1 10}}` is not understood: {{zipf FROM TO EXPONENT}} is needed",
        "line 14: `request 2.weight` is -1: a number from 0 to 1000000000 is needed",
        "line 15: `request 2.headers.host` is written by the generator itself",
        "line 15: `request 2.headers.a b` is no name of a header",
        "line 16: request 3 has no `path`: path = \"/\"",
        "line 17: `request 3.capture.order` is \"id\": a JSON pointer, such as \"/items/0/id\", is needed",
        "line 19: unknown key `client.conections_max`: did you mean `connections_max`?",
        "line 20: `client.http` is \"3\": \"1.1\" or \"2\" is needed",
        "line 21: `client.retries` is \"many\": a whole number from 0 to 1000 is needed",
        "line 22: no request is of the class `orders`: there are all",
    ];
    assert_eq!(wrong.to_string().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn headers_about_the_connection_are_no_headers_of_http2() {
    let text = |http: &str| {
        format!(
            "target = \"http://a\"\n[[request]]\npath = \"/\"\n[request.headers]\n\
             upgrade = \"h2c\"\nkeep-alive = \"5\"\nte = \"gzip\"\n\
             [[request]]\npath = \"/\"\nheaders = {{ te = \"trailers\" }}\n\
             [client]\nhttp = \"{http}\"\n"
        )
    };
    assert!(parse(&text("1.1")).is_ok());
    assert_eq!(
        parse(&text("2")).unwrap_err().to_string(),
        "line 5: `request 1.headers.upgrade` is forbidden in HTTP/2\n\
         line 6: `request 1.headers.keep-alive` is forbidden in HTTP/2\n\
         line 7: `request 1.headers.te` is forbidden in HTTP/2"
    );
}

#[test]
fn nor_are_they_told_apart_by_such_a_header() {
    let of = |http: &str, header: &str| {
        parse(&format!(
            "target = \"http://a\"\n[[request]]\npath = \"/\"\n\
             [client]\nclient_header = \"{header}\"\nhttp = \"{http}\"\n"
        ))
    };
    for header in ["Upgrade", "keep-alive", "proxy-connection", "te"] {
        let wrong = of("2", header).unwrap_err().to_string();
        let lower = header.to_ascii_lowercase();
        assert_eq!(
            wrong,
            format!("line 5: `client.client_header` is {lower:?}, which is forbidden in HTTP/2")
        );
        assert_eq!(of("1.1", header).unwrap().behaviour.client_header, lower);
    }
    for (header, why) in [("connection", "is written by the generator"), ("a b", "is no name")] {
        let wrong = of("1.1", header).unwrap_err().to_string();
        assert!(wrong.contains(&format!("is {header:?}, which {why}")), "{wrong}");
    }
    assert!(of("2", "x-client").is_ok());
}

#[test]
fn what_is_wrong_in_a_list_is_named_with_its_place_and_line() {
    let wrong = parse(
        r#"target = "http://a"
request = [
  { path = "/" },
  "second",
  { name = "buy", path = "x", headers = { upgrade = 1, "a b" = "" } },
  { name = "pay", path = "/", good = { status = [
      200,
      "+2xx",
      "404",
      "twenty",
      99,
  ] } },
]
[lists]
words = [
  "red shoe",
  7,
]
"#,
    )
    .unwrap_err();
    let status = "a status from 100 to 599, or all of a hundred, such as \"2xx\", is needed";
    let path = "it must begin with / and have neither spaces nor #";
    let expected = [
        "line 4: request 2 is \"second\": a table, [[request]], is needed".to_owned(),
        format!(
            "line 5: `request 3 (\"buy\").path` is \"x\": {path}, such as \
             \"/search?q=red%20shoe\""
        ),
        "line 5: `request 3 (\"buy\").headers.upgrade` is 1: a text in quotes without line ends is \
         needed"
            .to_owned(),
        "line 5: `request 3 (\"buy\").headers.a b` is no name of a header".to_owned(),
        "line 8: `request 4 (\"pay\").good.status`, value 2, is \"+2xx\": did you mean \"2xx\"?"
            .to_owned(),
        "line 9: `request 4 (\"pay\").good.status`, value 3, is \"404\": did you mean 404, without \
         quotes?"
            .to_owned(),
        format!("line 10: `request 4 (\"pay\").good.status`, value 4, is \"twenty\": {status}"),
        format!("line 11: `request 4 (\"pay\").good.status`, value 5, is 99: {status}"),
        "line 17: `lists.words`, value 2, is 7: a text in quotes is needed".to_owned(),
    ];
    assert_eq!(wrong.to_string().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn whom_to_trust_must_be_readable_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.pem"), "no certificate\n").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("broken.pem"), broken).unwrap();
    for (file, why) in [
        ("absent.pem", "absent.pem: cannot be read: No such file or directory"),
        ("note.pem", "note.pem: there is no certificate in it; a file of certificates in PEM"),
        ("broken.pem", "broken.pem: is no PEM: "),
        ("/dev/zero", "/dev/zero: cannot be read: it is larger than 1 MiB"),
    ] {
        let text = format!(
            "target = \"https://a\"\n[[request]]\npath = \"/\"\n[client]\nca_file = {file:?}\n"
        );
        let wrong = Scenario::parse(&text, folder.path()).unwrap_err().to_string();
        assert!(wrong.starts_with("line 5: `client.ca_file` is "), "{wrong}");
        assert!(wrong.contains(why), "{wrong}");
    }
}

#[test]
fn broken_and_empty_files_are_told() {
    let broken = parse("target = \n[[request]]\npath = \"/\"").unwrap_err().to_string();
    assert!(broken.starts_with("line 1: is not TOML here: "), "{broken}");
    assert_eq!(
        parse("").unwrap_err().to_string(),
        "line 1: `target` is missing: target = \"http://127.0.0.1:8080\"\n\
         line 1: there is no request: [[request]] with a `path` is needed"
    );
    let absent = Scenario::load(Path::new("no-such-folder/a.toml")).unwrap_err().to_string();
    assert!(absent.starts_with("cannot be read: "), "{absent}");
}

#[test]
fn the_template_reads_back_and_so_do_its_examples() {
    let url = "https://shop.example/a?b={{c}}&d=\"";
    assert!(template(url).is_err(), "a quote is no part of an address");
    let braces = parse(&template("http://shop.example/?a={{b}}").unwrap()).unwrap();
    assert_eq!(braces.requests[0].path, Text::literal("/?a=%7B%7Bb}}"), "nor are braces a value");
    let text = template("https://shop.example/a?b=c").unwrap();
    let scenario = parse(&text).unwrap();
    assert_eq!(scenario.target.url(), "https://shop.example");
    assert_eq!(scenario.requests[0].path, Text::literal("/a?b=c"));
    assert_eq!(scenario.behaviour, Behaviour::default(), "what stands there is the default");

    let examples: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(line) if line.starts_with('[') || line.contains(" = ") => format!("{line}\n"),
            _ => format!("{line}\n"),
        })
        .collect::<String>()
        .replace("words = \"words.txt\"", "words = [\"a\"]")
        .replace("ca_file = \"ca.pem\"", "");
    let scenario = parse(&examples).unwrap();
    assert_eq!(scenario.requests.len(), 3);
    // How many connections there are without being said depends on the load.
    let behaviour = Behaviour { connections_max: Some(256), ..Behaviour::default() };
    assert_eq!(scenario.behaviour, behaviour, "other examples are the defaults");
}

#[test]
fn one_address_is_a_scenario() {
    let scenario = Scenario::get("http://127.0.0.1:8080/a?b={{c}}").unwrap();
    assert_eq!(scenario.requests[0].path, Text::literal("/a?b={{c}}"), "an address is no template");
    let scenario = Scenario::get("http://127.0.0.1:8080/a?b=c").unwrap();
    assert_eq!(scenario.requests[0].path, Text::literal("/a?b=c"));
}

#[test]
fn names_that_somebody_gave_must_differ_and_each_value_of_a_text_is_looked_at() {
    let wrong = parse(
        r#"target = "http://127.0.0.1:99999"
[[request]]
name = "read"
path = "/{{zipf 1 10 100}}/{{lst}}"
[[request]]
name = "read"
path = "/"
"#,
    )
    .unwrap_err()
    .to_string();
    let lines: Vec<&str> = wrong.lines().collect();
    let [port, exponent, list, name] = lines.as_slice() else { panic!("{wrong}") };
    assert!(port.contains("line 1: ") && port.contains("a port that is no number"), "{port}");
    assert!(exponent.contains("line 4: ") && exponent.contains("from 0 to 10"), "{exponent}");
    assert!(list.contains("line 4: ") && list.contains("`list`"), "{list}");
    assert!(
        name.starts_with("line 6: `name` of request 2 (\"read\") is that of a request above"),
        "{name}"
    );

    let alike = "target = \"http://a\"\n[[request]]\npath = \"/\"\n[[request]]\npath = \"/\"\n";
    assert_eq!(parse(alike).unwrap().requests.len(), 2, "nobody named them");
}

#[cfg(target_os = "linux")]
#[test]
fn files_without_an_end_are_refused() {
    let wrong = Scenario::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(wrong, "cannot be read: it is larger than 16 MiB");
    let list = "target = \"http://a\"\n[lists]\nwords = \"/dev/zero\"\n[[request]]\npath = \"/\"\n";
    let wrong = parse(list).unwrap_err().to_string();
    assert!(wrong.contains("`lists.words` cannot be read from /dev/zero: it is larger"), "{wrong}");
}
