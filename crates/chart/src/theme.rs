//! Every colour, dash and thickness, as one stylesheet: a picture holds only names.
//!
//! Tones differ in lightness as well as in hue (and lines in dashes, dots in shapes), so that
//! they can be told apart by people who do not see every colour, and when printed in grey.

/// What a colour means. The stylesheet decides how it looks in light, in dark and in print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// Of things that have an order, such as p50, p90, p99 and p99.9: the most usual …
    Level1,
    /// … less usual …
    Level2,
    /// … rare …
    Level3,
    /// … and rarest.
    Level4,
    /// Answered as it should be.
    Good,
    /// Turned away on purpose.
    Refused,
    /// Not answered in time.
    TimedOut,
    /// Answered wrongly, or cut off.
    Failed,
    /// Things without an order that are compared: the first …
    #[default]
    Hue1,
    /// … the second …
    Hue2,
    /// … the third …
    Hue3,
    /// … and the fourth.
    Hue4,
    /// What is there to compare with: an ideal, an estimate.
    Quiet,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Level1 => "tf-level1",
            Self::Level2 => "tf-level2",
            Self::Level3 => "tf-level3",
            Self::Level4 => "tf-level4",
            Self::Good => "tf-good",
            Self::Refused => "tf-refused",
            Self::TimedOut => "tf-timed-out",
            Self::Failed => "tf-failed",
            Self::Hue1 => "tf-hue1",
            Self::Hue2 => "tf-hue2",
            Self::Hue3 => "tf-hue3",
            Self::Hue4 => "tf-hue4",
            Self::Quiet => "tf-quiet",
        }
    }

    pub(crate) fn marker(self) -> Marker {
        match self {
            Self::Level1 | Self::Good | Self::Hue1 | Self::Quiet => Marker::Circle,
            Self::Level2 | Self::Refused | Self::Hue2 => Marker::Square,
            Self::Level3 | Self::TimedOut | Self::Hue3 => Marker::Triangle,
            Self::Level4 | Self::Failed | Self::Hue4 => Marker::Diamond,
        }
    }
}

/// The shape of a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// The stylesheet, once per page. All names begin with `tf-`, and a page may set any of the
/// custom properties itself on `.tf-plot`.
///
/// A page that has a theme switch of its own sets `data-theme="light"` or `"dark"` on its root.
pub fn stylesheet() -> String {
    let mut sheet = String::with_capacity(6 * 1024);
    let mut rule = |selector: &str, declarations: &str| {
        sheet.push_str(&format!("{selector}{{{declarations}}}\n"));
    };
    rule(".tf-plot", LIGHT);
    rule("@media (prefers-color-scheme:dark)", &format!(".tf-plot{{{DARK}}}"));
    rule("[data-theme=light] .tf-plot", LIGHT);
    rule("[data-theme=dark] .tf-plot", DARK);
    rule("@media print", &format!(".tf-plot,[data-theme] .tf-plot{{{LIGHT}}}"));
    sheet.push_str(include_str!("theme/shapes.css"));
    sheet
}

const LIGHT: &str = include_str!("theme/light.css");
const DARK: &str = include_str!("theme/dark.css");

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tone; 13] = [
        Tone::Level1,
        Tone::Level2,
        Tone::Level3,
        Tone::Level4,
        Tone::Good,
        Tone::Refused,
        Tone::TimedOut,
        Tone::Failed,
        Tone::Hue1,
        Tone::Hue2,
        Tone::Hue3,
        Tone::Hue4,
        Tone::Quiet,
    ];

    /// The colour that a theme gives to a tone.
    fn colour(theme: &str, name: &str) -> [f64; 3] {
        let property = format!("--{name}:#");
        let at = theme.find(&property).unwrap_or_else(|| panic!("{name} has no colour"));
        let hexadecimal = &theme[at + property.len()..][..6];
        [0, 2, 4].map(|digit| {
            f64::from(u8::from_str_radix(&hexadecimal[digit..digit + 2], 16).unwrap()) / 255.0
        })
    }

    /// WCAG 2.2, "relative luminance" and "contrast ratio".
    fn luminance(colour: [f64; 3]) -> f64 {
        let [red, green, blue] = colour.map(|channel| {
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(theme: &str, one: &str, other: &str) -> f64 {
        let [one, other] = [one, other].map(|name| luminance(colour(theme, name)) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn words_can_be_read_on_every_ground() {
        for theme in [LIGHT, DARK] {
            for ground in ["tf-surface", "tf-band"] {
                assert!(contrast(theme, "tf-ink", ground) >= 7.0);
                assert!(contrast(theme, "tf-muted", ground) >= 4.5);
            }
        }
    }

    #[test]
    fn every_tone_stands_out_from_the_ground() {
        for theme in [LIGHT, DARK] {
            for tone in ALL {
                let contrast = contrast(theme, tone.class(), "tf-surface");
                // Refused is a filled area with an edge; amber that is darker would be brown.
                let least = if tone == Tone::Refused { 1.5 } else { 2.0 };
                assert!(contrast >= least, "{tone:?}: {contrast}");
            }
        }
    }

    #[test]
    fn in_grey_neighbours_still_differ() {
        let neighbours = [
            [Tone::Level1, Tone::Level2],
            [Tone::Level2, Tone::Level3],
            [Tone::Good, Tone::Refused],
            [Tone::Refused, Tone::TimedOut],
            [Tone::TimedOut, Tone::Failed],
            // In a stack without refusals these two meet.
            [Tone::Good, Tone::TimedOut],
            [Tone::Good, Tone::Failed],
        ];
        for [one, other] in neighbours {
            let contrast = contrast(LIGHT, one.class(), other.class());
            assert!(contrast >= 1.35, "{one:?} {other:?}: {contrast}");
        }
    }

    #[test]
    fn every_tone_has_a_rule() {
        let sheet = stylesheet();
        for tone in ALL {
            assert!(sheet.contains(&format!(".{}{{", tone.class())), "{tone:?}");
        }
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
    }
}
