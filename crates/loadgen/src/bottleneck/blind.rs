//! Says what cannot be known, so that what is not named is not taken for what was not the cause.

use super::{Saturation, processor};
use crate::scrape::Change;

/// From here on it is worth a word how many files are open.
const FILES_SHARE_NEAR: f64 = 0.8;

/// Why nothing is named, though some rate was too much.
pub(super) fn unknown(ranked: &[Saturation], change: &Change, metrics: bool) -> String {
    let looked: Vec<&str> = ranked.iter().map(|one| one.resource.name()).collect();
    let looked = if looked.is_empty() { "nothing".to_owned() } else { looked.join(", ") };
    let mut unseen = Vec::new();
    if !metrics {
        unseen.push(
            "without the service's metrics nothing is known of its own processor time, its pools, \
             its event loops or its memory (give the address where it speaks to Prometheus)"
                .to_owned(),
        );
    } else {
        unseen.extend(processor_time(change));
    }
    if change.machine.is_none() {
        unseen.push(
            "the processors and the memory of its machine cannot be seen from here".to_owned(),
        );
    }
    unseen.extend(files(change));
    let unseen: String = unseen.iter().map(|what| format!("; {what}")).collect();
    format!(
        "nothing that can be seen was near its end (looked at: {looked}); it may have waited for \
         something that it does not tell of, such as a lock, a database or another service{unseen}"
    )
}

/// What its page does not tell of its processor time.
fn processor_time(change: &Change) -> Option<String> {
    let name = processor::PROCESS_SECONDS;
    match change.per_second(name, &[]) {
        None => Some(format!("its page has no {name}, so its processor time is unknown")),
        Some(used) if !processor::is_credible(used, change) => Some(format!(
            "by its {name} its process used {used:.0} cores, which there are not, so its processor \
             time is unknown"
        )),
        Some(used) if processor::cores(change, None).is_none() => {
            Some(format!("its process used {used:.2} cores, but not even how many it has is told"))
        }
        Some(_) => None,
    }
}

/// Connections take files, and a limit of theirs is easily forgotten.
fn files(change: &Change) -> Option<String> {
    let open = change.gauge("process_open_fds", &[])?;
    let most = change.gauge("process_max_fds", &[])?;
    (open >= FILES_SHARE_NEAR * most)
        .then(|| format!("{open:.0} of the {most:.0} files that it may have were open at the end"))
}
