//! A scenario as a script for k6, for those who have it: the same load, the same requests, and the
//! same thresholds.
//!
//! Options as in k6's documentation, "Options reference" and "Executors". Two things are never the
//! same there and are said in the script: k6 counts latency from the moment of sending, and does
//! not send what no virtual user is free for (`dropped_iterations`). What else of a scenario is
//! lost is said there as well.

use std::fmt::Write as _;

use super::text::{Escape, quoted};
use super::{Protocol, Request, Scenario, Statuses, Text, Threshold};
use crate::run::Load;

mod executor;

const HEAD: &str = include_str!("k6/head.js");
const TAIL: &str = include_str!("k6/tail.js");

/// A script for k6 that offers this load.
pub fn k6_script(scenario: &Scenario, load: &Load) -> String {
    let mut script = String::new();
    for loss in k6_losses(scenario) {
        script += &format!("// Not in this script: {loss}.\n");
    }
    script += HEAD;
    let mut line = |text: String| writeln!(script, "{text}").expect("a string takes all");
    let (users, think_s) = match load {
        Load::Open(_) => (0, 0.0),
        Load::Closed { users, think, .. } => (*users, think.as_secs_f64()),
    };
    line("export const options = {".to_owned());
    line("  scenarios: {".to_owned());
    line("    load: {".to_owned());
    for option in executor::lines(load, &scenario.behaviour) {
        line(format!("      {option}"));
    }
    line("    },".to_owned());
    line("  },".to_owned());
    line("  thresholds: {".to_owned());
    thresholds("", &scenario.thresholds.all, &mut line);
    for (class, threshold) in &scenario.thresholds.classes {
        thresholds(&format!("{{class:{}}}", self::class(scenario, *class)), threshold, &mut line);
    }
    line("  },".to_owned());
    let insecure = scenario.behaviour.insecure;
    line(format!("  insecureSkipTLSVerify: {insecure},"));
    line("};\n".to_owned());
    line(format!("const TARGET = {};", quoted(&scenario.target.url())));
    line(format!("const USERS = {users};"));
    line(format!("const THINK_S = {think_s};"));
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

/// What a script for k6 does not do, though the scenario says so; without full stops.
pub fn k6_losses(scenario: &Scenario) -> Vec<String> {
    let behaviour = &scenario.behaviour;
    let mut losses = Vec::new();
    if behaviour.retries.max > 0 {
        losses.push(format!("`retries = {}`: each request is sent once", behaviour.retries.max));
    }
    if behaviour.leave_early.share > 0.0 {
        let share = behaviour.leave_early.share;
        losses.push(format!("`leave_early_share = {share}`: every client waits for its answer"));
    }
    if behaviour.slow_readers.share > 0.0 {
        let share = behaviour.slow_readers.share;
        losses.push(format!("`slow_reader_share = {share}`: nobody reads slowly"));
    }
    match (behaviour.protocol, scenario.target.tls) {
        (Protocol::Http2, false) => {
            losses.push("`http = \"2\"`: k6 speaks HTTP/1.1 where there is no TLS".to_owned());
        }
        (Protocol::Http2, true) | (Protocol::Http1, false) => {}
        (Protocol::Http1, true) => {
            losses.push("`http = \"1.1\"`: k6 speaks HTTP/2 with a service that can".to_owned());
        }
    }
    if let Some(file) = &behaviour.ca_file {
        let file = file.display().to_string().escape_debug().to_string();
        losses.push(format!("`ca_file = \"{file}\"`: k6 trusts what the system trusts"));
    }
    for (index, name) in scenario.classes.iter().enumerate() {
        let class = class(scenario, index);
        if class != *name {
            losses.push(format!(
                "the name of the class {name:?}, which no threshold of k6 can have: it is {class:?}"
            ));
        }
    }
    losses
}

/// The name of a class as k6 can have it in the name of a threshold, `good{class:NAME}`, which
/// ends with the first brace and has other tags after a comma. Two classes stay two.
fn class(scenario: &Scenario, class: usize) -> String {
    let Some(name) = scenario.classes.get(class) else { return String::new() };
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_. /".contains(letter);
    if name.chars().all(is_plain) && name.trim() == name {
        return name.clone();
    }
    let plain: String =
        name.trim().chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    // Its place tells it from another that looks alike now.
    let mut plain = format!("{plain}-{}", class + 1);
    while scenario.classes.contains(&plain) {
        plain.push('-');
    }
    plain
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
    let class = class(scenario, request.class);
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
        quoted(&class),
        request.weight,
        quoted(request.method.as_str()),
        request.path.javascript(Escape::Path),
        headers.join(", "),
        statuses.join(" || "),
        request.good.latency_max.as_secs_f64() * 1e3,
        captures.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::arrival::Schedule;

    fn parse(text: &str) -> Scenario {
        Scenario::parse(text, Path::new("")).unwrap()
    }

    fn load() -> Load {
        Load::Open(Schedule::constant(10.0, Duration::from_secs(1)))
    }

    #[test]
    fn what_is_lost_is_said_in_the_script() {
        let mut scenario = parse(
            r#"target = "http://a"
            [[request]]
            class = "a}b"
            path = "/"
            [[request]]
            class = "a,b"
            path = "/"
            [client]
            http = "2"
            retries = 3
            leave_early_share = 0.5
            slow_reader_share = 0.25
            [thresholds.class."a}b"]
            good_share_min = 0.9
            "#,
        );
        scenario.behaviour.ca_file = Some("a\nb.pem".into());
        let losses = k6_losses(&scenario);
        let script = k6_script(&scenario, &load());
        let comments = script.lines().take_while(|line| line.starts_with("//"));
        let said: Vec<&str> =
            comments.filter_map(|line| line.strip_prefix("// Not in this script: ")).collect();
        assert_eq!(said, losses.iter().map(|loss| format!("{loss}.")).collect::<Vec<_>>());
        for word in ["retries = 3", "leave_early_share = 0.5", "slow_reader_share = 0.25"] {
            assert!(losses.iter().any(|loss| loss.contains(word)), "{word}: {losses:?}");
        }
        for word in ["http = \"2\"", "ca_file", "\"a}b\"", "\"a,b\""] {
            assert!(losses.iter().any(|loss| loss.contains(word)), "{word}: {losses:?}");
        }
        assert!(script.contains("\"good{class:a_b-1}\": ['rate>=0.9']"), "{script}");
        assert!(script.contains("class: \"a_b-1\"") && script.contains("class: \"a_b-2\""));
        assert!(script.contains("redirects: 0,"));
    }

    #[test]
    fn what_k6_can_do_is_no_loss() {
        let scenario = parse("target = \"http://a\"\n[[request]]\nclass = \"b-1\"\npath = \"/\"\n");
        assert_eq!(k6_losses(&scenario), [""; 0]);
        let script = k6_script(&scenario, &load());
        assert!(!script.contains("Not in this script"));
    }
}
