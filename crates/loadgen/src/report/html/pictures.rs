//! The page's pictures as files of their own, for whoever shows one of them elsewhere.

use tenfold_chart::{Plot, Size};

use super::{course, limit, overload};
use crate::report::Report;

/// Each picture that the report has, with the name of its file.
pub(in crate::report) fn pictures(report: &Report) -> Vec<(&'static str, String)> {
    let mut plots: Vec<(&'static str, Plot)> = Vec::new();
    if let Some(limit) = &report.limit {
        plots.push(("search.svg", limit::search_plot(limit)));
        if let Some(law) = &limit.law {
            plots.push(("law.svg", limit::law_plot(limit, law)));
        }
    }
    let courses = [
        report.run.as_ref().map(|run| &run.course),
        report.overload.as_ref().map(|overload| &overload.course),
    ];
    // A report has one or the other.
    if let Some(course) = courses.into_iter().flatten().last() {
        plots.push(("latency.svg", course::latency_plot(course, report.latency_ms_max)));
        plots.push(("outcomes.svg", course::outcomes_plot(course)));
    }
    if let Some(overload) = &report.overload {
        plots.push(("goodput.svg", overload::goodput_plot(overload, None)));
    }
    plots.into_iter().map(|(name, plot)| (name, plot.document(Size::WIDE))).collect()
}
