//! What a bench found: figures with their bars, as a table for people and a file for what compares
//! runs.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::rounds::spread;
use super::table::table;
use crate::shell::{command, read, root};
use crate::{Error, Outcome};

/// Where a figure must stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Not above this.
    AtMost(f64),
    /// Not below this.
    AtLeast(f64),
    /// Anywhere: it is there to be read.
    None,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is, in words.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what: `ratio`, `µs/request`, `instructions`.
    pub unit: String,
    /// Where it must stay.
    pub bar: Bar,
}

/// All figures of one run of a bench.
#[derive(Clone, Debug)]
pub struct Report {
    name: String,
    command: String,
    figures: Vec<Figure>,
    noise: Vec<String>,
    notes: Vec<String>,
}

impl Figure {
    /// Whether it is where it must be. What could not be measured (NaN) is not.
    pub fn holds(&self) -> bool {
        match self.bar {
            Bar::AtMost(bar) => self.value <= bar,
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::None => true,
        }
    }
}

impl Bar {
    fn shown(self) -> String {
        match self {
            Bar::AtMost(bar) => format!("at most {bar}"),
            Bar::AtLeast(bar) => format!("at least {bar}"),
            Bar::None => String::new(),
        }
    }
}

impl Report {
    /// An empty report of a bench; `command` is what somebody types to run it again.
    pub fn new(name: &str, command: &str) -> Report {
        Report {
            name: name.into(),
            command: command.into(),
            figures: vec![],
            noise: vec![],
            notes: vec![],
        }
    }

    /// Adds a figure.
    pub fn add(&mut self, name: &str, value: f64, unit: &str, bar: Bar) {
        self.figures.push(Figure { name: name.into(), value, unit: unit.into(), bar });
    }

    /// Notes why the figures are worth little: the machine was busy with something else.
    pub fn too_noisy(&mut self, why: &str) {
        self.noise.push(why.to_owned());
    }

    /// Adds how far the rounds of `what` lie apart, and notes it where that says nothing any more: the
    /// middle half apart by more than `spread_max`, as a part, or a round without a figure at all.
    pub(super) fn judge_spread(&mut self, what: &str, rounds: &[f64], spread_max: f64) {
        let spread = spread(rounds);
        self.add(&format!("spread of {what} between rounds"), spread, "part", Bar::None);
        if !rounds.iter().all(|round| round.is_finite()) || spread > spread_max {
            self.too_noisy(&format!(
                "the middle half of the rounds differs by {:.0} % in {what}, and {:.0} % are the \
                 most that says anything: let nothing else run, or take more --rounds",
                spread * 100.0,
                spread_max * 100.0
            ));
        }
    }

    /// Adds a sentence for the reader, behind the table.
    pub fn note(&mut self, sentence: &str) {
        self.notes.push(sentence.to_owned());
    }

    /// Prints the table and gives the exit code, as [`Report::finish`] does; writes nothing.
    pub fn print(&self) -> u8 {
        println!("{}", self.shown());
        self.code()
    }

    /// Prints the table, writes `bench/results/NAME.json`, and gives the exit code: 0 when every
    /// figure holds, 1 when one does not, 3 when the machine was too noisy to say.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self) -> Outcome {
        let code = self.print();
        let file = root().join("bench/results").join(format!("{}.json", self.name));
        self.write(&file)?;
        println!("written to {}", file.strip_prefix(root()).unwrap_or(&file).display());
        Ok(code)
    }

    pub(super) fn code(&self) -> u8 {
        if !self.noise.is_empty() { 3 } else { u8::from(!self.figures.iter().all(Figure::holds)) }
    }

    pub(super) fn shown(&self) -> String {
        let rows = self.figures.iter().map(|figure| {
            let verdict = match (figure.bar, figure.holds()) {
                (Bar::None, _) => "",
                (_, true) => "holds",
                (_, false) => "DOES NOT HOLD",
            };
            let value = format!("{:.3}", figure.value);
            [figure.name.clone(), value, figure.unit.clone(), figure.bar.shown(), verdict.into()]
        });
        let mut shown = table(&["figure", "value", "unit", "bar", ""], rows);
        for note in &self.notes {
            shown.push_str(&format!("\n{note}"));
        }
        for why in &self.noise {
            shown.push_str(&format!("\ntoo noisy: {why}"));
        }
        shown
    }

    fn write(&self, file: &Path) -> Result<(), Error> {
        let figures: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                json!({
                    "name": figure.name,
                    "value": figure.value,
                    "unit": figure.unit,
                    "bar": (figure.bar != Bar::None).then(|| figure.bar.shown()),
                    "holds": figure.holds(),
                })
            })
            .collect();
        let all = json!({
            "command": self.command,
            "commit": commit(),
            "machine": machine(),
            "too_noisy": self.noise,
            "figures": figures,
        });
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, format!("{all:#}\n"))
            .map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
    }
}

/// The commit that was measured, with `-dirty` when the folder holds something else besides.
fn commit() -> String {
    read(command("git", &["describe", "--always", "--dirty", "--abbrev=12"]))
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// The machine in a few words: cores, processor, memory, kernel.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(PathBuf::from("/proc").join(file)).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?.to_owned();
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = field("cpuinfo", "model name").unwrap_or_else(|| "processor".to_owned());
    let memory = field("meminfo", "MemTotal")
        .and_then(|total| total.split(' ').next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB", kib.div_ceil(1 << 20)));
    let kernel = read(command("uname", &["-sr"])).unwrap_or_default();
    format!("{cores} × {processor}{memory}, {kernel}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(value: f64, bar: Bar) -> Report {
        let mut report = Report::new("floor", "cargo xtask bench floor");
        report.add("CPU per read", value, "ratio", bar);
        report
    }

    #[test]
    fn codes_say_what_holds() {
        assert_eq!(report(1.5, Bar::AtMost(1.6)).code(), 0);
        assert_eq!(report(1.6, Bar::AtMost(1.6)).code(), 0);
        assert_eq!(report(1.7, Bar::AtMost(1.6)).code(), 1);
        assert_eq!(report(1.7, Bar::AtLeast(1.8)).code(), 1);
        assert_eq!(report(9.0, Bar::None).code(), 0);
        assert_eq!(report(f64::NAN, Bar::AtMost(1.6)).code(), 1);
        let mut noisy = report(1.7, Bar::AtMost(1.6));
        noisy.too_noisy("rounds differ by 30 %");
        assert_eq!(noisy.code(), 3);
        assert!(noisy.shown().ends_with("\ntoo noisy: rounds differ by 30 %"));
    }

    #[test]
    fn reads_as_a_table() {
        assert_eq!(
            report(1.7, Bar::AtMost(1.6)).shown(),
            "figure        value  unit   bar\n\
             ────────────  ─────  ─────  ───────────  ─────────────\n\
             CPU per read  1.700  ratio  at most 1.6  DOES NOT HOLD"
        );
    }

    #[test]
    fn is_written_with_what_was_measured_where() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results/floor.json");
        report(1.5, Bar::AtMost(1.6)).write(&file).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["command"], "cargo xtask bench floor");
        assert!(!written["commit"].as_str().unwrap().is_empty());
        assert!(written["machine"].as_str().unwrap().contains('×'));
        assert_eq!(
            written["figures"][0],
            json!({"name": "CPU per read", "value": 1.5, "unit": "ratio", "bar": "at most 1.6", "holds": true})
        );
    }
}
