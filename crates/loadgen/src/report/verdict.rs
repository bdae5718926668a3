//! What a report comes to, in one sentence.

use crate::bottleneck::Saturation;
use crate::ending::Ending;
use crate::limit::{LimitReport, Unrecovered};
use crate::report::course::Attempts;
use crate::report::overload::Overload;
use crate::report::run::RunReport;
use crate::report::{Report, words};
use crate::search::{Found, Verdict};

/// A service that keeps this part of its best goodput keeps working.
const KEPT_SHARE_MIN: f64 = 0.8;

/// One that keeps less than this has stopped working.
const COLLAPSED_SHARE_MAX: f64 = 0.2;

/// What is in use to this part is near its end.
const SHARE_NEAR: f64 = 0.8;

pub(super) fn of(report: &Report) -> String {
    let sentence = measured(report);
    let crossed = match report.crossed.as_slice() {
        [] => return sentence,
        [_] => "a threshold was crossed".to_owned(),
        several => format!("{} thresholds were crossed", several.len()),
    };
    format!("{}; {crossed}.", sentence.trim_end_matches('.'))
}

fn measured(report: &Report) -> String {
    match (&report.overload, &report.limit, &report.run) {
        (Some(overload), _, _) => self::overload(overload),
        (None, Some(limit), _) => self::limit(limit),
        (None, None, Some(run)) => self::run(run),
        (None, None, None) => "Nothing was measured.".to_owned(),
    }
}

/// What ended it, if something was near its end.
pub(super) fn bottleneck(limit: &LimitReport) -> Option<&Saturation> {
    let bottleneck = limit.bottleneck.as_ref()?;
    bottleneck.ranked.first().filter(|first| first.share >= SHARE_NEAR)
}

pub(super) fn limit(limit: &LimitReport) -> String {
    let rate = words::requests_per_second;
    let held = limit.limit_per_second;
    if let Some(Unrecovered { after_rate, gone: true, .. }) = &limit.unrecovered {
        let before = match held > 0.0 {
            true => format!("the limit found before that is {} at least", rate(held)),
            false => "no rate had been held before that".to_owned(),
        };
        return format!(
            "The service went away after it was offered {}, and its connections are refused: \
             {before}.",
            rate(*after_rate)
        );
    }
    let mut sentence = match limit.found {
        Found::Limit { held, not_held } if limit.stopped => {
            let less = words::count(not_held);
            return format!(
                "It holds {} and less than {less}: the search was stopped.",
                rate(held)
            );
        }
        Found::Unfinished { held } if limit.stopped && held > 0.0 => {
            return format!("It holds {} at least: the search was stopped.", rate(held));
        }
        Found::Unfinished { .. } if limit.stopped => {
            return "The search was stopped before any rate was held.".to_owned();
        }
        Found::Limit { .. } => format!("It holds {}", rate(held)),
        Found::NoLimit { held } => {
            return format!("It holds {}, the most that was to be offered.", rate(held));
        }
        Found::NothingHeld => {
            return "It holds no load at all: even a request every ten seconds is too much."
                .to_owned();
        }
        Found::GeneratorFirst { held } => {
            let mut probes = limit.probes.iter().rev();
            let why = match probes.find(|probe| probe.verdict == Verdict::Invalid) {
                Some(probe) => &probe.validity,
                None => "the generator could not offer more",
            };
            return match held > 0.0 {
                true => format!("It holds {} at least; then {why}.", rate(held)),
                false => format!("This says nothing of the service: {why}."),
            };
        }
        Found::Unfinished { held } if held > 0.0 => {
            format!("It holds {} at least: the search had no end", rate(held))
        }
        Found::Unfinished { .. } => "The search ended before any rate was held".to_owned(),
    };
    if let Some(unrecovered) = &limit.unrecovered {
        sentence += &format!(", and does not come back after {}", rate(unrecovered.after_rate));
    } else if let (Found::Limit { .. }, Some(first)) = (limit.found, bottleneck(limit)) {
        sentence += &format!(
            "; what ends it is the {}, {} in use",
            first.resource.name(),
            words::percent(first.share)
        );
    }
    sentence + "."
}

pub(super) fn overload(overload: &Overload) -> String {
    if overload.stopped {
        return "The load was stopped before its end.".to_owned();
    }
    let limit = format!("its limit of {}", words::requests_per_second(overload.limit_per_second));
    let recovery = match overload.recovery.seconds {
        Some(0.0) => "is itself again at once".to_owned(),
        Some(seconds) => format!("is itself again after {}", words::seconds(seconds)),
        None if overload.gone => "went away: its connections are refused".to_owned(),
        None => "does not recover while it is watched".to_owned(),
    };
    let Some(worst) = overload.worst() else {
        if overload.is_valid() {
            return format!("It was not taken past {limit}, and {recovery}.");
        }
        return format!("This says nothing of the service: {}.", overload.validity);
    };
    let left = words::percent(worst.goodput_to_peak);
    let times = words::count(worst.times);
    let mut sentence = if worst.goodput_to_peak >= KEPT_SHARE_MIN {
        let most = overload.multiples().iter().filter(|phase| phase.valid);
        let most = most.map(|phase| phase.times).fold(1.0, f64::max);
        format!("Up to {} times {limit} it keeps {left} of its best goodput", words::count(most))
    } else if worst.goodput_to_peak >= COLLAPSED_SHARE_MAX {
        format!("Past {limit} its goodput falls: at {times} times it keeps {left} of its best")
    } else {
        format!("Past {limit} it collapses: at {times} times it keeps {left} of its best goodput")
    };
    sentence += &format!(", and it {recovery}");
    if let Some(phase) = overload.rising() {
        sentence += &format!(
            "; at {} times it did {} per second, so that was not its limit",
            words::count(phase.times),
            words::count(phase.goodput_per_second)
        );
    }
    if !overload.is_valid() {
        sentence += "; where the generator could not keep up is left out";
    }
    sentence + "."
}

pub(super) fn run(run: &RunReport) -> String {
    let total = run.course.total();
    if total.intended == 0 {
        return "Nothing was asked.".to_owned();
    }
    if !run.valid {
        return format!("This says nothing of the service: {}.", run.validity);
    }
    let mut sentence = format!(
        "{} of {} {} good",
        words::percent(total.good_share()),
        words::counted(total.intended, "request", "requests"),
        if total.intended == 1 { "was" } else { "were" }
    );
    let right = [Ending::Good, Ending::Slow];
    let latency = |quantile| total.latency_ms(&right, quantile);
    if let (Some(p50), Some(p99)) = (latency(0.5), latency(0.99)) {
        sentence += &format!(
            "; answers took {} (p50) and {} (p99)",
            words::milliseconds(p50),
            words::milliseconds(p99)
        );
    }
    if let Some(worst) = most_frequent_failure(&total) {
        sentence += &format!("; {worst}");
    }
    sentence + "."
}

/// What most of those did that were not good, if they were more than one in a hundred: `most others
/// were refused`.
fn most_frequent_failure(total: &Attempts) -> Option<String> {
    let others = Ending::ALL.into_iter().filter(|ending| *ending != Ending::Good);
    let (count, worst) =
        others.map(|ending| (total.count(ending), ending)).max_by_key(|one| one.0)?;
    let good = total.count(Ending::Good);
    let who = match (good == 0, count + good == total.intended) {
        (true, true) => "all",
        (true, false) => "most",
        (false, true) => "all others",
        (false, false) => "most others",
    };
    (count as f64 > 0.01 * total.intended as f64).then(|| format!("{who} {}", did(worst)))
}

/// What they did, as a sentence has it.
fn did(ending: Ending) -> &'static str {
    match ending {
        Ending::Good => "were good",
        Ending::Slow => "were slow",
        Ending::Wrong => "were wrong",
        Ending::Refused => "were refused",
        Ending::TimedOut => "timed out",
        Ending::Failed => "failed",
        Ending::LeftEarly => "left early",
    }
}
