//! How large a picture is, in units of which text is twelve high.

/// The shape of a picture. It scales to the width of its place; what it has to be drawn
/// for is how much text fits beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    width: f64,
    height: f64,
}

impl Size {
    /// For a page.
    pub const WIDE: Self = Self { width: 720.0, height: 320.0 };

    /// For a phone, or one of two columns.
    pub const NARROW: Self = Self { width: 360.0, height: 280.0 };

    /// Another shape; what is too small for text or absurdly large is brought into bounds.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width: f64::from(width.clamp(240, 4000)),
            height: f64::from(height.clamp(240, 4000)),
        }
    }

    pub(crate) fn width(self) -> f64 {
        self.width
    }

    pub(crate) fn height(self) -> f64 {
        self.height
    }

    /// The class by which the stylesheet chooses between two drawings of one plot.
    pub(crate) fn class(self) -> &'static str {
        if self.width < 520.0 { "tf-narrow" } else { "tf-wide" }
    }
}
