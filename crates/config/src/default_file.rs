//! Writes the settings file that documents every key and sets each to its default.

use std::fmt::Write;

use crate::known::Known;

const HEAD: &str = "\
# Every setting and its default. A key that is left out keeps the default, so a file need
# hold no more than what differs. Each can also be set by a variable, TENFOLD_SECTION_KEY, and
# by a flag, --set section.key=value: flags win over variables, variables over this file.
# Durations: 250ms, 2s, 1m. Sizes: 64KiB, 10MB. An empty text, \"\", where a setting need not
# be set, means that it is not.
";

impl Known {
    /// The documented default file: TOML that sets every key to its default.
    pub fn default_file(&self) -> String {
        let mut file = HEAD.to_owned();
        for section in &self.sections {
            let defaults = (section.start)();
            file.push('\n');
            comment(&mut file, section.doc);
            line(&mut file, format_args!("[{}]", section.name));
            for (index, key) in section.keys.iter().enumerate() {
                file.push('\n');
                comment(&mut file, key.doc);
                let also = key.other_variable.map(|name| format!("; {name} sets it as well"));
                let (expected, also) = ((key.expected)(), also.unwrap_or_default());
                line(&mut file, format_args!("# Takes {expected}{also}."));
                line(&mut file, format_args!("{} = {}", key.name, defaults.literal(index)));
            }
        }
        file
    }
}

fn comment(file: &mut String, doc: &[&str]) {
    for text in doc.join("\n").lines() {
        line(file, format_args!("{}", format!("# {}", text.trim()).trim_end()));
    }
}

fn line(file: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(file, "{text}").expect("a String takes every write");
}
