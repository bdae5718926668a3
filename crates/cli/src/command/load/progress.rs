//! What is shown of a load while it goes on: one line, ten times per second on a terminal, once
//! per second in a pipe.

use std::collections::VecDeque;
use std::time::Duration;

use tenfold_chart::{Glyphs, sparkline};
use tenfold_loadgen::{Ending, Snapshot};

use super::screen::Screen;

/// Figures are those of the last second.
const RECENT: usize = 10;

/// A column of the small chart for each second, up to these.
const COLUMNS: usize = 60;

/// The load that is shown.
#[derive(Default)]
pub(super) struct Progress {
    recent: VecDeque<Snapshot>,
    /// Good answers per second, by second.
    goodputs: VecDeque<f64>,
    seconds: u64,
}

impl Progress {
    /// Shows what is new; `label` says what is offered.
    pub(super) fn see(&mut self, label: &str, snapshot: &Snapshot, screen: &mut Screen) {
        // A next load begins at its start again.
        if self.recent.back().is_some_and(|last| last.elapsed > snapshot.elapsed) {
            (self.recent, self.seconds) = (VecDeque::new(), 0);
        }
        self.recent.push_back(snapshot.clone());
        if self.recent.len() > RECENT + 1 {
            self.recent.pop_front();
        }
        let second = snapshot.elapsed.as_secs();
        let is_new_second = second > self.seconds;
        if is_new_second {
            self.seconds = second;
            self.goodputs.push_back(rate(&self.recent, |one| one.count(Ending::Good)));
            if self.goodputs.len() > COLUMNS {
                self.goodputs.pop_front();
            }
        }
        let (goodputs, width) = (self.goodputs.make_contiguous(), screen.width());
        if screen.is_live {
            let line = line(label, &self.recent, goodputs, screen.glyphs, width);
            screen.show(&line);
        } else if is_new_second {
            let line = line(label, &self.recent, &[], screen.glyphs, width);
            screen.say(&line);
        }
    }
}

/// At most as wide as a terminal; what is left of the width, a dozen seconds, is for the small
/// chart.
fn line(
    label: &str,
    recent: &VecDeque<Snapshot>,
    goodputs: &[f64],
    glyphs: Glyphs,
    width: usize,
) -> String {
    let offered = rate(recent, |one| one.intended - one.not_offered);
    let ended = rate(recent, |one| Ending::ALL.iter().map(|ending| one.count(*ending)).sum());
    // Where nothing has ended, nothing is known, which is another thing than nothing being good.
    let share = |of: fn(&Snapshot) -> u64| match ended > 0.0 {
        true => format!("{:.0}%", rate(recent, of) / ended * 100.0),
        false => "-".to_owned(),
    };
    let good = share(|one| one.count(Ending::Good));
    let refused = share(|one| one.count(Ending::Refused));
    let last = recent.back();
    let elapsed = last.map_or(0.0, |last| last.elapsed.as_secs_f64());
    let p50 = latency(last.and_then(|last| last.p50));
    let p99 = latency(last.and_then(|last| last.p99));
    let words = format!(
        "{label} {elapsed:>4.0}s {offered:>6.0}/s good {good:>4} refused {refused:>4} \
         p50 {p50:>6} p99 {p99:>6}"
    );
    let room = width.saturating_sub(words.chars().count() + 2);
    let chart = sparkline(&goodputs[goodputs.len().saturating_sub(room)..], room, glyphs);
    let line = if chart.is_empty() { words } else { format!("{words}  {chart}") };
    line.chars().take(width).collect()
}

/// How much of it came per second, of late.
fn rate(recent: &VecDeque<Snapshot>, of: impl Fn(&Snapshot) -> u64) -> f64 {
    let (Some(first), Some(last)) = (recent.front(), recent.back()) else { return 0.0 };
    let seconds = (last.elapsed - first.elapsed).as_secs_f64();
    if seconds > 0.0 { of(last).saturating_sub(of(first)) as f64 / seconds } else { 0.0 }
}

fn latency(latency: Option<Duration>) -> String {
    match latency.map(|latency| latency.as_secs_f64() * 1e3) {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1}ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0}ms"),
        Some(ms) => format!("{:.0}s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::WIDTH;
    use super::*;

    fn snapshots(step: u64) -> VecDeque<Snapshot> {
        (0..=10)
            .map(|tenth| {
                let mut endings = [0; Ending::ALL.len()];
                endings[Ending::Good as usize] = 3 * step * tenth;
                endings[Ending::Refused as usize] = step * tenth;
                Snapshot {
                    elapsed: Duration::from_millis(100 * tenth),
                    intended: 4 * step * tenth,
                    endings,
                    p50: Some(Duration::from_micros(1_240)),
                    p99: Some(Duration::from_millis(71)),
                    ..Snapshot::default()
                }
            })
            .collect()
    }

    #[test]
    fn a_line_says_it_all_in_80_columns() {
        let goodputs: Vec<f64> = (0..60).map(f64::from).collect();
        let line = line("load", &snapshots(10), &goodputs, Glyphs::Ascii, WIDTH);
        assert!(
            line.starts_with("load    1s    400/s good  75% refused  25% p50  1.2ms p99   71ms  "),
            "{line}"
        );
        assert!(line.len() <= WIDTH && line.ends_with('@'), "{line}");
        let chart = line.rsplit_once("  ").unwrap().1;
        assert!(chart.len() >= 12, "a chart of a dozen seconds: {chart:?}");
    }

    #[test]
    fn large_figures_and_long_labels_do_not_wrap_and_nothing_is_no_fault() {
        let label = "a phase with a name that is much longer than it should be";
        let line_of = |recent| line(label, &recent, &[1.0; 60], Glyphs::Blocks, WIDTH);
        assert!(line_of(snapshots(10_000_000)).chars().count() <= WIDTH);
        assert!(line_of(VecDeque::new()).contains("much longer"));
        let nothing = line("load", &snapshots(0), &[], Glyphs::Ascii, WIDTH);
        assert!(nothing.contains("0/s good    - refused    - p50"), "{nothing}");
        let narrow = line("load", &snapshots(10), &[1.0; 60], Glyphs::Ascii, 30);
        assert_eq!(narrow, "load    1s    400/s good  75% ");
    }
}
