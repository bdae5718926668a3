//! The page's section about a single load.

use super::course::{RIGHT, generator, latency_plot, outcomes_plot, outcomes_table};
use super::{Figure, Page, latency};
use crate::ending::Ending;
use crate::report::run::RunReport;
use crate::report::words;

pub(super) fn figures(run: &RunReport) -> Vec<Figure> {
    let total = run.course.total();
    let seconds = run.course.seconds().max(1e-9);
    let figure =
        |name: &str, value: String, note: String| Figure { name: name.to_owned(), value, note };
    vec![
        figure(
            "good answers",
            match total.intended {
                0 => "–".to_owned(),
                _ => words::percent(total.good_share()),
            },
            format!("of {}", words::counted(total.intended, "request", "requests")),
        ),
        figure(
            "goodput",
            words::count(total.count(Ending::Good) as f64 / seconds),
            format!("per second, of {} offered", words::count(total.intended as f64 / seconds)),
        ),
        figure("median", latency(total.latency_ms(&RIGHT, 0.5)), "of right answers".to_owned()),
        figure("p99", latency(total.latency_ms(&RIGHT, 0.99)), "of right answers".to_owned()),
    ]
}

pub(super) fn section(run: &RunReport, latency_ms_max: Option<f64>, page: &mut Page) {
    page.open("The load");
    page.paragraph(&format!("Offered: {}.", run.load));
    if !run.valid {
        page.element(
            "p",
            "warning",
            &format!("These figures are not the service's: {}.", run.validity),
        );
    }
    if run.stopped {
        page.element("p", "warning", "It was stopped before its time.");
    }
    let course = &run.course;
    page.figure(&latency_plot(course, latency_ms_max));
    page.figure(&outcomes_plot(course));
    let mut rows = Vec::new();
    if course.classes.len() > 1 {
        let classes = course.classes.iter().enumerate();
        rows.extend(classes.map(|(index, name)| (name.clone(), course.class(index))));
    }
    rows.push(("all".to_owned(), course.total()));
    outcomes_table("By class", "class", &rows, page);
    if course.stretches.len() > 1 {
        let stretches = course.stretches.iter();
        let rows: Vec<_> = stretches.map(|one| (one.name.clone(), one.total())).collect();
        outcomes_table("By phase", "phase", &rows, page);
    }
    generator(course, page);
    page.close();
}
