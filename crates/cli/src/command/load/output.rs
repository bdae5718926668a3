//! What a load leaves behind: a verdict on the screen, files in a folder, and a comparison.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{SecondsFormat, Utc};
use tenfold_loadgen::{Comparison, Course, Report, SaveError};

use super::screen::Screen;
use super::table::{Column, Table};
use super::{Asked, CROSSED, GENERATOR, Problem, both};
use crate::printable::one_line;

/// Where the report goes.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArguments {
    /// Writes report.html and report.json into this folder
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Prints report.json; what is for people goes to standard error
    #[arg(long)]
    json: bool,
    /// An earlier report.json, or its folder: shows both side by side, and what of it is noise
    #[arg(long, value_name = "OLD")]
    compare: Option<PathBuf>,
}

/// Where things go, made ready before any load is offered, so that nothing is measured in vain.
pub(super) struct Output<'a> {
    arguments: &'a OutputArguments,
    earlier: Option<Report>,
    pub(super) screen: Screen,
}

impl OutputArguments {
    pub(super) fn open(&self) -> Result<Output<'_>, Problem> {
        let (earlier, ()) = both(self.earlier(), self.make_folder())?;
        Ok(Output { arguments: self, earlier, screen: Screen::new(self.json) })
    }

    fn earlier(&self) -> Result<Option<Report>, Problem> {
        let Some(path) = &self.compare else { return Ok(None) };
        let earlier = Report::load(path).map_err(|error| {
            let needed = "the report.json of an earlier load, or its folder, is needed";
            Problem::flag("--compare <OLD>", path.display(), format!("{error}; {needed}"))
        })?;
        Ok(Some(earlier))
    }

    fn make_folder(&self) -> Result<(), Problem> {
        let Some(folder) = &self.report else { return Ok(()) };
        Report::check_folder(folder).map_err(|SaveError { error, .. }| {
            let why = format!("nothing can be written there: {error}");
            Problem::flag("--report <FOLDER>", folder.display(), why)
        })
    }
}

impl Output<'_> {
    /// Says what came of it, and writes what was asked for.
    pub(super) fn finish(&mut self, report: &Report) -> Result<(), Problem> {
        let screen = &mut self.screen;
        screen.say("");
        for crossed in &report.crossed {
            screen.say(&format!("threshold crossed: {crossed}"));
        }
        screen.say_loud(&report.verdict());
        if let Some(earlier) = &self.earlier {
            screen.say("");
            screen.say(&format!("since {}:", earlier.at));
            compare(&report.compare(earlier), screen);
        }
        if let Some(folder) = &self.arguments.report {
            let saved = match &self.earlier {
                Some(earlier) => report.save_beside(earlier, folder),
                None => report.save(folder),
            };
            let page = saved.map_err(Problem::failed)?;
            screen.say(&format!("report: {}", page.display()));
        }
        if self.arguments.json {
            print_all(&report.to_json())?;
        }
        // After all else: files may have been written, though the screen could not be.
        self.screen.complaint().map_or(Ok(()), |error| Err(not_printed(error)))
    }
}

/// Then and now, side by side.
fn compare(comparison: &Comparison, screen: &mut Screen) {
    for caveat in &comparison.caveats {
        screen.say(caveat);
    }
    let mut table = Table::new([
        Column::new("", 0, 0),
        Column::new("then", 11, 0),
        Column::new("now", 11, 0),
        Column::new("change", 8, 1),
        Column::new("", 7, 0),
    ]);
    for change in &comparison.changes {
        table.row([
            one_line(&change.name),
            one_line(&change.old),
            one_line(&change.new),
            change.ratio_in_words(),
            change.significance.name().to_owned(),
        ]);
    }
    if !comparison.changes.is_empty() {
        screen.tell(&table);
    }
}

/// Prints what was asked for. Who has closed the output has seen enough of it; anything else that
/// stands in the way, such as a full disk, means that nobody has it.
pub(super) fn print_all(text: &str) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(not_printed(&error)),
        _ => Ok(()),
    }
}

fn not_printed(error: &io::Error) -> Problem {
    Problem::Failed(format!("the output cannot be written: {error}"))
}

/// What is known of why requests did not end well, beside how they ended: what was answered
/// instead, and why there was no connection.
pub(super) fn reasons(course: &Course, screen: &mut Screen) {
    if let Some(answers) = course.answers_in_words() {
        screen.say(&format!("answered instead  {answers}"));
    }
    for cause in &course.causes {
        screen.say(&format!("no connection     {} × {}", cause.count, cause.words));
    }
}

/// How the program ends after a load: what was not measured crosses nothing, and that the service
/// went away meanwhile is no good end.
pub(super) fn code(is_valid: bool, is_gone: bool, report: &Report) -> ExitCode {
    match (is_valid, report.crossed.as_slice()) {
        (false, _) => ExitCode::from(GENERATOR),
        (true, []) if is_gone => ExitCode::FAILURE,
        (true, []) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(CROSSED),
    }
}

/// A report without content of what is asked.
pub(super) fn report(asked: &Asked) -> Report {
    let at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let tool = concat!("tenfold ", env!("CARGO_PKG_VERSION"));
    let mut report = Report::new(tool, &at, &asked.scenario);
    report.scenario.clone_from(&asked.text);
    report
}
