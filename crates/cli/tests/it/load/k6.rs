//! The script for k6: valid JavaScript, with k6's own names, that asks what the scenario asks.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tenfold_testkit::tool;

use super::service::Service;
use super::{check, load};

/// Everything that a scenario can say and k6 can do, and texts that end a JavaScript text early
/// where nobody takes care.
const RICH: &str = r#"
target = "http://127.0.0.1:18999"

[[request]]
name = "read it's"
class = "read"
weight = 8
path = "/products/{{zipf 1 10000 1.1}}?page={{uniform 0 3}}&q={{list words}}&n={{sequence 5}}"
headers = { accept = "application/json", "x-quote" = 'a "b" \ c' }

[[request]]
class = "order"
weight = 2
method = "POST"
path = "/orders"
headers = { content-type = "application/json" }
body = '{"product": {{uniform 1 9}}, "note": "${x} `y`"}'
good = { status = [201, "3xx"], latency_max = "1s", body_contains = "\"id\"" }
capture = { order = "/items/0/id" }

[[request]]
class = "order"
path = "/orders/{{captured order or 0}}?by={{client}}"

[lists]
words = ["red", "o'er", "</script>"]

[client]
timeout = "1500ms"
connections_max = 10
clients = 50
client_header = "x-customer"
flood_share = 0.5

[thresholds]
good_share_min = 0.99
p50_max = "50ms"
p99_max = "500ms"

[thresholds.class.order]
good_share_min = 0.999
"#;

/// What k6 gives a script, as far as this one uses it; then a thousand iterations of it, whose
/// requests are told. Whatever else of k6 it touched would be an error.
const K6: &str = r#"
const added = { good: [], latency: [] };
class Rate {
  constructor(name) { this.name = name; }
  add(value, tags) { added[this.name].push([value, tags]); }
}
const Trend = Rate;
const exec = {
  scenario: { iterationInTest: 0 },
  vu: { idInTest: 3, get iterationInScenario() { return exec.scenario.iterationInTest; } },
};
const slept = [];
const sleep = (seconds) => slept.push(seconds);
const asked = [];
const http = {
  request(method, url, body, params) {
    asked.push({ method, url, body, params });
    const status = method === 'POST' ? 201 : 200;
    return { status, body: '{"items": [{"id": 77}]}', timings: { duration: 3 } };
  },
};
"#;

const THOUSAND: &str = "
for (; exec.scenario.iterationInTest < 1000; exec.scenario.iterationInTest++) iterate();
console.log(JSON.stringify({ options, asked, added, slept }));
";

/// What the script tells of itself, once k6's own modules are replaced.
fn told(script: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.mjs");
    fs::write(&file, script).unwrap();
    node(&["--check".as_ref(), &file]);
    let rest: Vec<&str> = script.lines().filter(|line| !line.starts_with("import ")).collect();
    let rest = rest.join("\n").replace("export default function ()", "function iterate()");
    fs::write(&file, format!("{K6}{rest}{THOUSAND}")).unwrap();
    serde_json::from_str(&node(&[&file])).unwrap()
}

fn node(arguments: &[&Path]) -> String {
    let output = Command::new(tool("node")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_rich_scenario_asks_the_same_of_k6() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(&file, RICH).unwrap();
    let script = load(&format!("export-k6 {} --rate 250.5 --duration 30s", file.display())).await;
    check(&script, 0);
    assert_eq!(script.stderr, "", "k6 can do all of it");
    let imports: Vec<&str> =
        script.stdout.lines().filter(|line| line.starts_with("import ")).collect();
    let modules = ["'k6/http';", "'k6/execution';", "'k6/metrics';", "'k6';"];
    assert_eq!(imports.len(), modules.len());
    assert!(imports.iter().zip(modules).all(|(line, end)| line.ends_with(end)), "{imports:?}");
    let told = told(&script.stdout);

    // As in k6's documentation: "Options reference", "Constant arrival rate", "Thresholds". Its
    // rates are whole numbers, so that a fraction is one per minute.
    assert_eq!(
        told["options"],
        json!({
            "scenarios": { "load": {
                "executor": "constant-arrival-rate",
                "rate": 15030,
                "timeUnit": "60s",
                "duration": "30000ms",
                "preAllocatedVUs": 10,
                "maxVUs": 376,
            } },
            "thresholds": {
                "good": ["rate>=0.99"],
                "latency": ["p(50)<=50", "p(99)<=500"],
                "good{class:order}": ["rate>=0.999"],
            },
            "insecureSkipTLSVerify": false,
        })
    );

    let asked = told["asked"].as_array().unwrap();
    let of = |start: &str| {
        let url = |one: &Value| one["url"].as_str().unwrap().replace("http://127.0.0.1:18999", "");
        asked.iter().filter(|one| url(one).starts_with(start)).collect::<Vec<_>>()
    };
    let (read, order, look) = (of("/products/"), of("/orders"), of("/orders/77?by="));
    assert_eq!(read.len() + order.len(), 1000);
    assert!((600..850).contains(&read.len()), "8 of 11: {}", read.len());
    assert!(look.len() > 40, "what an answer has brought is used: {}", look.len());
    let posts: Vec<_> = order.iter().filter(|one| one["method"] == "POST").collect();
    let body: Value = serde_json::from_str(posts[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["note"], "${x} `y`");
    assert_eq!(read[0]["params"]["headers"]["x-quote"], r#"a "b" \ c"#);
    assert_eq!(read[0]["params"]["timeout"], "1500ms");
    assert_eq!(read[0]["params"]["redirects"], 0, "a redirect is an answer here");
    assert_eq!(read[0]["params"]["tags"], json!({ "class": "read", "name": "read it's" }));
    let flood =
        asked.iter().filter(|one| one["params"]["headers"]["x-customer"] == "client-0").count();
    assert!((400..650).contains(&flood), "half of it from one client: {flood}");
    let added = &told["added"];
    assert_eq!(added["good"].as_array().unwrap().len(), 1000);
    assert!(added["good"].as_array().unwrap().iter().all(|one| one[0] == true), "all were right");
    assert_eq!(added["latency"].as_array().unwrap().len(), 1000);
    assert_eq!(told["slept"], json!([]), "whom a clock sends does not think");
}

/// What k6 is told of when requests come, and how long each iteration slept.
async fn executor(flags: &str) -> (Value, Vec<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let (file, trace) = (folder.path().join("load.toml"), folder.path().join("trace.csv"));
    fs::write(&file, RICH.replace("flood_share = 0.5", "")).unwrap();
    fs::write(&trace, "second,rate\n100,30\n101,30\n102,0\n104,7.5\n").unwrap();
    let flags = flags.replace("FILE", &trace.display().to_string());
    let script = load(&format!("export-k6 {} {flags}", file.display())).await;
    check(&script, 0);
    let mut told = told(&script.stdout);
    let slept = serde_json::from_value(told["slept"].take()).unwrap();
    if flags.contains("--users") {
        let client = |one: &Value| one["params"]["headers"]["x-customer"] == "client-2";
        assert!(told["asked"].as_array().unwrap().iter().all(client), "each is one client");
    }
    (told["options"]["scenarios"]["load"].take(), slept)
}

/// As in k6's documentation: "Ramping arrival rate", and "Instant load increase" for the jumps.
#[tokio::test]
async fn a_rate_that_changes_is_one_of_k6_as_well() {
    let ramping = |first: u32, unit: &str, stages: Value, users_max: u32| {
        json!({
            "executor": "ramping-arrival-rate",
            "startRate": first,
            "timeUnit": unit,
            "stages": stages,
            "preAllocatedVUs": 10,
            "maxVUs": users_max,
        })
    };
    let (ramp, slept) = executor("--ramp-from 10 --rate 100 --duration 30s").await;
    let stages = json!([{ "target": 100, "duration": "30000ms" }]);
    assert_eq!((ramp, slept), (ramping(10, "1s", stages, 150), Vec::new()));
    let (steps, _) = executor("--steps 20,60 --duration 90s").await;
    let stages = json!([
        { "target": 20, "duration": "90000ms" },
        { "target": 60, "duration": "0s" },
        { "target": 60, "duration": "90000ms" },
    ]);
    assert_eq!(steps, ramping(20, "1s", stages, 90));
    let (trace, _) = executor("--trace FILE").await;
    let stages = json!([
        { "target": 1800, "duration": "2000ms" },
        { "target": 0, "duration": "0s" },
        { "target": 0, "duration": "2000ms" },
        { "target": 450, "duration": "0s" },
        { "target": 450, "duration": "1000ms" },
    ]);
    assert_eq!(trace, ramping(1800, "60s", stages, 45));
}

/// As in k6's documentation: "Constant VUs", "sleep", and "k6/execution" for who it is.
#[tokio::test]
async fn users_who_think_are_users_of_k6_who_sleep() {
    let (closed, slept) = executor("--users 20 --think 400ms --duration 30s").await;
    let expected = json!({ "executor": "constant-vus", "vus": 20, "duration": "30000ms" });
    assert_eq!(closed, expected);
    // The third of twenty comes after its share of one time of thinking.
    assert!((slept[0] - 0.4 * 2.0 / 20.0).abs() < 1e-9, "{}", slept[0]);
    let thought = &slept[1..];
    assert_eq!(thought.len(), 1000);
    assert!(thought.iter().all(|seconds| (0.2..0.6).contains(seconds)), "{thought:?}");
    let mean = thought.iter().sum::<f64>() / 1000.0;
    assert!((0.35..0.45).contains(&mean), "{mean}");
}

#[tokio::test]
async fn the_scenario_that_one_begins_with_runs_and_is_a_script_for_k6() {
    let address = Service::always("200 OK").await.address;
    let folder = tempfile::tempdir().unwrap();
    let printed = load(&format!("init http://{address}/products")).await;
    check(&printed, 0);
    let file = folder.path().join("load.toml");
    fs::write(&file, &printed.stdout).unwrap();
    let file = file.display();
    check(&load(&format!("run --scenario {file} --rate 50 --duration 1s")).await, 0);
    let script = load(&format!("export-k6 {file}")).await;
    check(&script, 0);
    let told = told(&script.stdout);
    let load = &told["options"]["scenarios"]["load"];
    assert_eq!((&load["rate"], &load["timeUnit"]), (&json!(100), &json!("1s")));
    assert_eq!(told["asked"].as_array().unwrap().len(), 1000);
}

#[tokio::test]
async fn what_k6_would_refuse_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(&file, RICH).unwrap();
    let output = load(&format!("export-k6 {} --duration 500ms", file.display())).await;
    check(&output, 2);
    assert!(output.stderr.contains("k6 takes no less than 1s"), "{}", output.stderr);
}

#[tokio::test]
async fn what_k6_cannot_do_is_said_and_its_thresholds_have_names_that_it_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    let class = "class = \"order\"";
    let rich =
        RICH.replace(class, "class = \"order},x\"").replace("class.order]", "class.\"order},x\"]");
    fs::write(&file, rich.replace("[client]", "[client]\nretries = 2")).unwrap();
    let script = load(&format!("export-k6 {}", file.display())).await;
    check(&script, 0);
    for loss in ["`retries = 2`: each request is sent once", "the class \"order},x\""] {
        assert!(script.stderr.contains(loss), "{}", script.stderr);
        assert!(script.stdout.contains(loss), "{}", script.stdout);
    }
    let told = told(&script.stdout);
    assert_eq!(told["options"]["thresholds"]["good{class:order__x-2}"], json!(["rate>=0.999"]));
    let asked = told["asked"].as_array().unwrap();
    assert!(asked.iter().any(|one| one["params"]["tags"]["class"] == "order__x-2"));
}
