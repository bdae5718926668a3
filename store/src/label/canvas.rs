//! A sheet to draw on: rectangles and text with smooth edges, and a PNG in the end.

use ab_glyph::{Font, FontRef, Glyph, ScaleFont, point};

/// Red, green and blue, each from 0 to 255.
pub(super) type Colour = [u8; 3];

const BYTES_PER_PIXEL: usize = 3;

/// A sheet of opaque pixels, row by row. Positions and lengths are in pixels, from the upper
/// left corner; what lies outside of the sheet is not drawn.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Where text stands in relation to the position that is given for it.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, paper: Colour) -> Canvas {
        Canvas { width, height, pixels: paper.repeat(width * height) }
    }

    /// Fills a rectangle. An edge between two pixels covers a part of each.
    pub(super) fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32, ink: Colour) {
        let columns = covered(x, width, self.width);
        for (row, row_coverage) in covered(y, height, self.height) {
            for (column, column_coverage) in columns.clone() {
                self.blend(column, row, ink, row_coverage * column_coverage);
            }
        }
    }

    /// Writes a line of text with its baseline at `y`.
    pub(super) fn text(
        &mut self,
        (x, y): (f32, f32),
        align: Align,
        font: &Typeface,
        text: &str,
        ink: Colour,
    ) {
        let start = match align {
            Align::Left => x,
            Align::Centre => x - font.width(text) / 2.0,
            Align::Right => x - font.width(text),
        };
        for glyph in font.glyphs(text, start, y) {
            let Some(outline) = font.face.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|column, row, coverage| {
                let (x, y) = (corner.x + column as f32, corner.y + row as f32);
                if x >= 0.0 && y >= 0.0 {
                    self.blend(x as usize, y as usize, ink, coverage);
                }
            });
        }
    }

    /// The sheet as a PNG file.
    pub(super) fn into_png(self) -> Vec<u8> {
        const CANNOT_FAIL: &str = "writing to memory, with as many pixels as the header says";
        let side = |pixels: usize| u32::try_from(pixels).expect("labels have a few thousand");
        let mut file = Vec::with_capacity(self.pixels.len() / 16);
        let mut encoder = png::Encoder::new(&mut file, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().expect(CANNOT_FAIL);
        writer.write_image_data(&self.pixels).expect(CANNOT_FAIL);
        writer.finish().expect(CANNOT_FAIL);
        file
    }

    fn blend(&mut self, column: usize, row: usize, ink: Colour, coverage: f32) {
        if column >= self.width || row >= self.height {
            return;
        }
        let at = (row * self.width + column) * BYTES_PER_PIXEL;
        for (below, ink) in self.pixels[at..at + BYTES_PER_PIXEL].iter_mut().zip(ink) {
            let (paper, ink) = (f32::from(*below), f32::from(ink));
            *below = (paper + (ink - paper) * coverage.clamp(0.0, 1.0)).round() as u8;
        }
    }
}

/// The pixels that a length covers, and how much of each.
fn covered(start: f32, length: f32, limit: usize) -> impl Iterator<Item = (usize, f32)> + Clone {
    let end = (start + length).min(limit as f32);
    let start = start.max(0.0);
    (start.floor() as usize..end.max(0.0).ceil() as usize).map(move |pixel| {
        let left = (pixel as f32).max(start);
        let right = (pixel as f32 + 1.0).min(end);
        (pixel, (right - left).max(0.0))
    })
}

/// A font in one size.
pub(super) struct Typeface {
    face: FontRef<'static>,
    pixels: f32,
}

impl Typeface {
    /// A font that comes with the program, so many pixels high.
    pub(super) fn new(file: &'static [u8], pixels: f32) -> Typeface {
        let face = FontRef::try_from_slice(file).expect("a font file that the tests have read");
        Typeface { face, pixels }
    }

    /// How wide a line of text is.
    pub(super) fn width(&self, text: &str) -> f32 {
        let font = self.face.as_scaled(self.pixels);
        let mut before = None;
        let mut width = 0.0;
        for id in text.chars().map(|character| font.glyph_id(character)) {
            width += before.map_or(0.0, |before| font.kern(before, id)) + font.h_advance(id);
            before = Some(id);
        }
        width
    }

    /// Breaks text between words into lines that are not wider than `width`, at most
    /// `lines_max` of them; what is left over ends in an ellipsis.
    pub(super) fn wrap(&self, text: &str, width: f32, lines_max: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        let too_long = lines.len() > lines_max;
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut()
            && (too_long || self.width(last) > width)
        {
            while !last.is_empty() && self.width(&format!("{last}…")) > width {
                last.pop();
            }
            last.push('…');
        }
        lines
    }

    fn glyphs(&self, text: &str, x: f32, y: f32) -> Vec<Glyph> {
        let font = self.face.as_scaled(self.pixels);
        let mut before = None;
        let mut x = x;
        let mut glyphs = Vec::with_capacity(text.len());
        for id in text.chars().map(|character| font.glyph_id(character)) {
            x += before.map_or(0.0, |before| font.kern(before, id));
            glyphs.push(id.with_scale_and_position(self.pixels, point(x, y)));
            x += font.h_advance(id);
            before = Some(id);
        }
        glyphs
    }
}
