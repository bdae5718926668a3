//! The page's section about what has changed since an earlier report.

use super::{Page, escape};
use crate::report::compare::changed;
use crate::report::{Comparison, Report, Significance};

pub(super) fn section(comparison: &Comparison, earlier: &Report, page: &mut Page) {
    page.open("Then and now");
    page.paragraph(&format!("Then: {} ({})", earlier.verdict(), earlier.at));
    for caveat in &comparison.caveats {
        page.element("p", "warning", caveat);
    }
    if comparison.changes.is_empty() {
        page.paragraph("The two have no figure in common.");
        page.close();
        return;
    }
    page.paragraph("A difference is noise where a repetition might differ as much.");
    page.raw("<div class=\"scroll\"><table>\n");
    page.raw("<thead><tr>");
    for head in ["figure", "then", "now", "change", "which is"] {
        page.element("th", "", head);
    }
    page.raw("</tr></thead>\n<tbody>\n");
    for change in &comparison.changes {
        let class = match change.significance {
            Significance::Noise => " class=\"noise\"",
            Significance::Better => "",
            Significance::Worse => " class=\"worse\"",
        };
        page.raw(&format!(
            "<tr{class}><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&change.name),
            escape(&change.old),
            escape(&change.new),
            changed(change.ratio),
            change.significance.name()
        ));
    }
    page.raw("</tbody></table></div>\n");
    page.close();
}
