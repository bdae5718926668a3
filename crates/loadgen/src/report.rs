//! What a load has shown, to keep and to show around: for machines as `report.json`, for people
//! as `report.html`, and against an earlier one.

use std::io;
use std::path::{Path, PathBuf};

use crate::limit::LimitReport;
use crate::scenario::read_text;

mod compare;
mod course;
mod html;
mod json;
mod overload;
mod run;
mod save;
mod verdict;
pub(crate) mod words;

pub use compare::{Change, Comparison, Significance};
pub use course::{Attempts, ClassCourse, Course, Slice, Stretch};
pub use json::ReadError;
pub use overload::Overload;
pub use run::RunReport;

/// Everything that was learnt about a service, and what is needed to learn it again.
///
/// ```no_run
/// use std::time::Duration;
/// use tenfold_loadgen::{Report, Run, RunReport, Scenario, Schedule};
///
/// let scenario = Scenario::get("http://127.0.0.1:8080/products")?;
/// let load = Schedule::constant(500.0, Duration::from_secs(10));
/// let outcome = Run::open(&scenario, load).run()?;
/// let mut report = Report::new("my tool 1.0", "2026-11-24T09:00:00Z", &scenario);
/// report.crossed = outcome.crossed(&scenario.thresholds).iter().map(|one| one.to_string()).collect();
/// report.run = Some(RunReport::of(&outcome, "500 requests per second for 10 s"));
/// println!("{}", report.verdict());
/// report.save("target/load".as_ref())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// The program that made it, with its version.
    pub tool: String,
    /// When it was made: RFC 3339, in UTC.
    pub at: String,
    /// The address of the service.
    pub target: String,
    /// The scenario file's text; empty where a single address was asked.
    pub scenario: String,
    /// The latency up to which an answer is good, in milliseconds, where it is the same for all
    /// requests.
    pub latency_ms_max: Option<f64>,
    /// What was demanded and not met: sentences without their full stop, of which the first begins
    /// with a small letter.
    pub crossed: Vec<String>,
    /// A single load.
    pub run: Option<RunReport>,
    /// The search for the limit.
    pub limit: Option<LimitReport>,
    /// The way past the limit and back.
    pub overload: Option<Overload>,
}

/// The files of a report.
const JSON: &str = "report.json";
const HTML: &str = "report.html";

/// The most bytes of a report that is read. One of ten minutes with a dozen classes and phases has
/// a fiftieth of it; a file that never ends must not fill the memory.
const JSON_BYTES_MAX: u64 = 64 << 20;

impl Report {
    /// A report without content: `tool` is who makes it, `at` when (RFC 3339, in UTC).
    pub fn new(tool: &str, at: &str, scenario: &crate::Scenario) -> Report {
        let mut latencies = scenario.requests.iter().map(|request| request.good.latency_max);
        let first = latencies.next();
        let same = first.filter(|first| latencies.all(|latency| latency == *first));
        Report {
            tool: tool.to_owned(),
            at: at.to_owned(),
            target: scenario.target.url(),
            scenario: String::new(),
            latency_ms_max: same.map(|latency| latency.as_secs_f64() * 1e3),
            crossed: Vec::new(),
            run: None,
            limit: None,
            overload: None,
        }
    }

    /// What it all comes to, in one sentence.
    pub fn verdict(&self) -> String {
        verdict::of(self)
    }

    /// The report for machines; its form is described in `docs/guides/load-report.md`.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Reads a report for machines.
    ///
    /// # Errors
    /// When it is none, or of a version that is not known.
    pub fn from_json(text: &str) -> Result<Report, ReadError> {
        json::read(text)
    }

    /// The report for people: a page that needs nothing else, neither network nor script.
    pub fn to_html(&self) -> String {
        html::page(self, None)
    }

    /// The same with an earlier report beside it.
    pub fn to_html_beside(&self, earlier: &Report) -> String {
        html::page(self, Some(earlier))
    }

    /// What has changed since an earlier report, and what of it is noise.
    pub fn compare(&self, earlier: &Report) -> Comparison {
        compare::of(earlier, self)
    }

    /// The pictures of the report for people, each with the name of its file: SVG that needs no
    /// page around it.
    pub fn pictures(&self) -> Vec<(&'static str, String)> {
        html::pictures(self)
    }

    /// Whether reports can be written into a folder, which is made if it is not there: to be asked
    /// before a load, so that nothing is measured in vain.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn check_folder(folder: &Path) -> Result<(), SaveError> {
        save::check(folder)
    }

    /// Writes both reports and the pictures into a folder, which is made if it is not there; the
    /// address of the one for people.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, SaveError> {
        save(self, self.to_html(), folder)
    }

    /// The same, with an earlier report beside it in the one for people.
    ///
    /// # Errors
    /// As [`Report::save`].
    pub fn save_beside(&self, earlier: &Report, folder: &Path) -> Result<PathBuf, SaveError> {
        save(self, self.to_html_beside(earlier), folder)
    }

    /// Reads what [`Report::save`] wrote: the file for machines, or the folder that it is in.
    ///
    /// # Errors
    /// When there is no such file, it has more than 64 MiB, or no report is in it.
    pub fn load(path: &Path) -> Result<Report, LoadError> {
        let file = if path.is_dir() { path.join(JSON) } else { path.to_owned() };
        match read_text(&file, JSON_BYTES_MAX) {
            Ok(text) => Report::from_json(&text).map_err(|error| LoadError::Read { file, error }),
            Err(error) => Err(LoadError::File { file, error }),
        }
    }
}

fn save(report: &Report, html: String, folder: &Path) -> Result<PathBuf, SaveError> {
    let mut files = report.pictures();
    files.extend([(JSON, report.to_json()), (HTML, html)]);
    save::all(folder, &files)?;
    Ok(folder.join(HTML))
}

/// A report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct SaveError {
    /// What was to be written.
    pub path: PathBuf,
    /// What stood in the way.
    pub error: io::Error,
}

/// An earlier report cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What stood in the way.
        error: io::Error,
    },
    /// What it holds is no report.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: ReadError,
    },
}

#[cfg(test)]
mod browser;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
