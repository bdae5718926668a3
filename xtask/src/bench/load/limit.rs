//! Asks whether the limits that the generator finds are true, and the same each time.
//!
//! Of eight workers who take two milliseconds, by the calendar, it is known that they do 4000 per
//! second; from them one learns how far the searches are from the truth. Of the store, which reads
//! a product in Postgres on a core that both share, nobody knows it; from it one learns how far they
//! are from each other.

use std::path::Path;

use super::servers::Server;
use crate::Error;
use crate::bench::cpu::Stolen;
use crate::bench::floor::{fill, store};
use crate::bench::release::{PrivatePostgres, program};
use crate::bench::{Bar, LOAD_CORE, Report, SERVICE_CORE, median, pinned};
use crate::shell::{root, watch};

/// How far from the truth the worst search may be.
const ERROR_MAX: f64 = 0.05;

/// How far apart the lowest and the highest of the searches may be, as a part of their median.
const APART_MAX: f64 = 0.05;

const WORKERS: &str = "8";

const SERVICE_MS: &str = "2";

const TRUTH: f64 = 4000.0;

pub(super) fn ask(quick: bool, report: &mut Report) -> Result<(), Error> {
    let searches = if quick { 3 } else { 10 };
    let workers = Server::start("workers", &[WORKERS, SERVICE_MS])?;
    let found = watched("limit of 4000/s", &workers.url, searches, report)?;
    drop(workers);
    tell_error(&found, report);
    tell_repeats("limit of 4000/s", &found, report);

    let postgres = PrivatePostgres::start_on(SERVICE_CORE)?;
    fill(&postgres)?;
    let store = store(&postgres)?;
    let folder = root().join("target/tmp");
    std::fs::create_dir_all(&folder)?;
    let scenario = folder.join("bench-load-products.toml");
    std::fs::write(&scenario, products(&format!("http://{}", store.address)))?;
    let name = "limit of the store's product read";
    let found = watched(name, &scenario.display().to_string(), searches, report)?;
    tell_repeats(name, &found, report);
    Ok(())
}

/// Searches, and tells how much of the service's core other virtual machines took meanwhile: with
/// much of it gone, a spread says nothing of the search.
fn watched(
    name: &str,
    what: &str,
    searches: usize,
    report: &mut Report,
) -> Result<Vec<Found>, Error> {
    let before = Stolen::of(SERVICE_CORE)?;
    let found = search(what, searches)?;
    let share = Stolen::of(SERVICE_CORE)?.share_since(before);
    report.add(
        &format!("{name}: of the service's core, taken by others"),
        share,
        "part",
        Bar::None,
    );
    Ok(found)
}

/// Reads of products, each as likely as any other.
fn products(target: &str) -> String {
    format!(
        "target = \"{target}\"\n\n\
         [[request]]\nname = \"product\"\npath = \"/products/{{{{uniform 1 100000}}}}\"\n"
    )
}

/// What one search found.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    limit: f64,
    probes: f64,
    seconds: f64,
    /// How it ended.
    end: String,
}

/// Searches in view of the person at the terminal: it takes minutes.
fn search(what: &str, searches: usize) -> Result<Vec<Found>, Error> {
    let program = pinned(&[LOAD_CORE], &program("examples/limit")?, &[what, &searches.to_string()]);
    let (status, lines) = watch(program)?;
    let found: Vec<Found> = lines.iter().filter_map(|line| parse(line)).collect();
    if !status.success() || found.len() != searches {
        let (of, name) = (found.len(), Path::new(what).display());
        return Err(format!("{of} of {searches} searches of {name} came to an end").into());
    }
    Ok(found)
}

/// `     1   3950.2  3950.2 – 4047.9          14        0     29.1  limit`
fn parse(line: &str) -> Option<Found> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [search, limit, _, "–", _, probes, _, seconds, end @ ..] = words.as_slice() else {
        return None;
    };
    search.parse::<usize>().ok()?;
    Some(Found {
        limit: limit.parse().ok()?,
        probes: probes.parse().ok()?,
        seconds: seconds.parse().ok()?,
        end: end.join(" "),
    })
}

fn tell_error(found: &[Found], report: &mut Report) {
    let error = |limit: f64| (limit / TRUTH - 1.0).abs();
    let worst = found.iter().map(|found| error(found.limit)).fold(0.0, f64::max);
    report.add("limit of 4000/s: worst error", worst, "part", Bar::AtMost(ERROR_MAX));
    let middle = error(median(&limits(found)));
    report.add("limit of 4000/s: error of the median", middle, "part", Bar::None);
}

fn tell_repeats(name: &str, found: &[Found], report: &mut Report) {
    let limits = limits(found);
    let (least, most) = limits
        .iter()
        .fold((f64::INFINITY, 0.0), |(least, most), limit| (limit.min(least), limit.max(most)));
    let middle = |take: fn(&Found) -> f64| median(&found.iter().map(take).collect::<Vec<_>>());
    let apart = (most - least) / median(&limits);
    let bar = Bar::AtMost(APART_MAX);
    let searches = found.len();
    report.add(&format!("{name}: (max − min) ÷ median of {searches}"), apart, "part", bar);
    report.add(&format!("{name}: median"), median(&limits), "requests/s", Bar::None);
    report.add(&format!("{name}: probes"), middle(|found| found.probes), "count", Bar::None);
    report.add(&format!("{name}: a search takes"), middle(|found| found.seconds), "s", Bar::None);
    for other in found.iter().filter(|found| found.end != "limit") {
        report.note(&format!("{name}: {:.0}/s is no limit: {}", other.limit, other.end));
    }
}

fn limits(found: &[Found]) -> Vec<f64> {
    // What is no limit must not pass for one.
    let limit = |found: &Found| if found.end == "limit" { found.limit } else { 0.0 };
    found.iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(limit: f64) -> Found {
        Found { limit, probes: 14.0, seconds: 29.1, end: "limit".to_owned() }
    }

    #[test]
    fn reads_the_rows_and_nothing_else() {
        let row = "     1   3950.2  3950.2 – 4047.9          14        0     29.1  limit";
        assert_eq!(parse(row), Some(found(3950.2)));
        let row = "     2   3950.2  3950.2 – ?               14        2     29.1  generator first";
        assert_eq!(parse(row).unwrap().end, "generator first");
        for other in [
            "search  limit/s  interval             probes  invalid  seconds  found",
            "median 3950.2/s, from 3900.0 to 4000.0: 2.5 % apart",
            "    4000.0/s  NotHeld: a line was building up: latency grew by 30 ms per second",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_worst_counts_and_what_is_no_limit_is_none() {
        let code = |found: &[Found]| {
            let mut report = Report::new("load", "cargo xtask bench load");
            tell_error(found, &mut report);
            tell_repeats("limit", found, &mut report);
            report.code()
        };
        assert_eq!(code(&[found(3950.0), found(4000.0), found(4100.0)]), 0);
        assert_eq!(code(&[found(3790.0), found(3790.0), found(3790.0)]), 1, "not true");
        assert_eq!(code(&[found(3850.0), found(4000.0), found(4100.0)]), 1, "not the same");
        let other = Found { end: "generator first".to_owned(), ..found(4000.0) };
        assert_eq!(code(&[found(4000.0), other, found(4000.0)]), 1);
    }

    #[test]
    fn the_scenario_asks_for_any_product() {
        assert_eq!(
            products("http://127.0.0.1:80"),
            "target = \"http://127.0.0.1:80\"\n\n[[request]]\nname = \"product\"\n\
             path = \"/products/{{uniform 1 100000}}\"\n"
        );
    }
}
