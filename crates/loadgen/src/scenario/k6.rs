//! A scenario as a script for k6, for those who have it: arrival-rate executors, the same
//! requests, and the same thresholds.
//!
//! Options as in k6's documentation, "Options reference" and "Executors". Two things are not the
//! same there and are said in the script: k6 counts latency from the moment of sending, and does
//! not send what no virtual user is free for (`dropped_iterations`).

use std::fmt::Write as _;
use std::time::Duration;

use super::text::{Escape, quoted};
use super::{Request, Scenario, Statuses, Text, Threshold};

const HEAD: &str = include_str!("k6/head.js");
const TAIL: &str = include_str!("k6/tail.js");

/// A script for k6 that offers so many requests per second for so long.
pub fn k6_script(scenario: &Scenario, rate: f64, duration: Duration) -> String {
    let mut script = HEAD.to_owned();
    let mut line = |text: String| writeln!(script, "{text}").expect("a string takes all");
    // k6 takes whole numbers alone: a rate with a fraction is one per more time.
    let (rate, unit_s) = if rate.fract() == 0.0 { (rate, 1) } else { ((rate * 60.0).round(), 60) };
    let per_second = rate / f64::from(unit_s);
    let users_max = (per_second * scenario.behaviour.timeout.as_secs_f64()).ceil().max(1.0);
    let users_max = users_max.max(scenario.behaviour.connections_max as f64);
    let users_first = users_max.min(scenario.behaviour.connections_max as f64);
    line("export const options = {".to_owned());
    line("  scenarios: {".to_owned());
    line("    load: {".to_owned());
    line("      executor: 'constant-arrival-rate',".to_owned());
    line(format!("      rate: {},", rate.max(1.0)));
    line(format!("      timeUnit: '{unit_s}s',"));
    line(format!("      duration: '{}ms',", duration.as_millis()));
    line(format!("      preAllocatedVUs: {users_first},"));
    line(format!("      maxVUs: {users_max},"));
    line("    },".to_owned());
    line("  },".to_owned());
    line("  thresholds: {".to_owned());
    thresholds("", &scenario.thresholds.all, &mut line);
    for (class, threshold) in &scenario.thresholds.classes {
        let name = scenario.classes.get(*class).map_or("", String::as_str);
        thresholds(&format!("{{class:{name}}}"), threshold, &mut line);
    }
    line("  },".to_owned());
    let insecure = scenario.behaviour.insecure;
    line(format!("  insecureSkipTLSVerify: {insecure},"));
    line("};\n".to_owned());
    line(format!("const TARGET = {};", quoted(&scenario.target.url())));
    line(format!("const CLIENTS = {};", scenario.behaviour.clients));
    line(format!("const FLOOD_SHARE = {};", scenario.behaviour.flood_share));
    line(format!("const TIMEOUT = '{}ms';\n", scenario.behaviour.timeout.as_millis()));
    line("const REQUESTS = [".to_owned());
    for one in &scenario.requests {
        line(request(one, scenario));
    }
    line("];".to_owned());
    script + TAIL
}

fn thresholds(of: &str, threshold: &Threshold, line: &mut dyn FnMut(String)) {
    if let Some(share) = threshold.good_share_min {
        line(format!("    {}: ['rate>={share}'],", quoted(&format!("good{of}"))));
    }
    let latencies = [(50, threshold.p50_max), (99, threshold.p99_max)];
    let bounds: Vec<String> = latencies
        .into_iter()
        .filter_map(|(quantile, max)| {
            let max_ms = max?.as_secs_f64() * 1e3;
            Some(format!("'p({quantile})<={max_ms}'"))
        })
        .collect();
    if !bounds.is_empty() {
        let name = quoted(&format!("latency{of}"));
        line(format!("    {name}: [{}],", bounds.join(", ")));
    }
}

fn request(request: &Request, scenario: &Scenario) -> String {
    let class = scenario.classes.get(request.class).map_or("", String::as_str);
    let behaviour = &scenario.behaviour;
    let mut headers = request.headers.clone();
    if behaviour.clients > 1 || behaviour.flood_share > 0.0 {
        headers.push((behaviour.client_header.clone(), Text::client()));
    }
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{}: {}", quoted(name), value.javascript(Escape::Header)))
        .collect();
    let statuses: Vec<String> = request
        .good
        .statuses
        .iter()
        .map(|statuses| match statuses {
            Statuses::One(one) => format!("status === {one}"),
            Statuses::Hundred(hundred) => format!("Math.floor(status / 100) === {hundred}"),
        })
        .collect();
    let captures: Vec<String> = request
        .captures
        .iter()
        .map(|capture| format!("[{}, {}]", capture.name, quoted(&capture.pointer)))
        .collect();
    let contains = request.good.body_contains.as_deref().map_or("null".to_owned(), quoted);
    let body = match request.body.is_empty() {
        true => "null".to_owned(),
        false => request.body.javascript(Escape::Nothing),
    };
    format!(
        "  {{\n    name: {},\n    class: {},\n    weight: {},\n    method: {},\n    \
         path: (iteration, client) => {},\n    headers: (iteration, client) => ({{ {} }}),\n    \
         body: (iteration, client) => {body},\n    isRight: (status) => {},\n    \
         contains: {contains},\n    latencyMax: {},\n    captures: [{}],\n  }},",
        quoted(&request.name),
        quoted(class),
        request.weight,
        quoted(request.method.as_str()),
        request.path.javascript(Escape::Path),
        headers.join(", "),
        statuses.join(" || "),
        request.good.latency_max.as_secs_f64() * 1e3,
        captures.join(", "),
    )
}
