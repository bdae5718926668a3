//! `GET /products/{id}/label.png`: a label for the shelf. Drawing it is honest work for a
//! processor, so it happens on the offload pool and never on the event loop.

mod canvas;
mod code128;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use serde::Deserialize;
use tenfold::{Db, Offload, Path, Query, Result};

use crate::products::{self, Product};
use canvas::{Align, Canvas, Colour, Typeface};

/// The narrowest label, in pixels: less is not readable.
pub const SIZE_MIN: u32 = 64;

/// The widest label, in pixels. Work and memory grow with its square.
pub const SIZE_MAX: u32 = 2048;

/// The width of a label when nobody says otherwise, in pixels: prints well on a shelf.
pub const SIZE_DEFAULT: u32 = 640;

/// Answers with the label of one product.
pub(crate) async fn read(
    db: Db,
    offload: Offload,
    Path(id): Path<i64>,
    Query(Wanted { size }): Query<Wanted>,
) -> Result<impl IntoResponse> {
    // Without a thread for it, the product would be read for nothing.
    offload.check_room()?;
    let product = db.first(products::by_id(id)).await?;
    let png = offload.run(move || render(&product, size)).await?;
    Ok(([(CONTENT_TYPE, "image/png")], png))
}

/// How the label is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    size: Size,
}

/// A width in pixels from [`SIZE_MIN`] to [`SIZE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Size(u32);

impl Default for Size {
    fn default() -> Size {
        Size(SIZE_DEFAULT)
    }
}

impl TryFrom<u32> for Size {
    type Error = String;

    fn try_from(pixels: u32) -> Result<Size, String> {
        if (SIZE_MIN..=SIZE_MAX).contains(&pixels) {
            return Ok(Size(pixels));
        }
        Err(format!("must be from {SIZE_MIN} to {SIZE_MAX} pixels, not {pixels}"))
    }
}

const PAPER: Colour = [253, 251, 246];
const INK: Colour = [24, 26, 31];
const FAINT: Colour = [112, 116, 126];

/// The colours of the band; a product always has the same one.
const BANDS: [Colour; 6] =
    [[196, 55, 42], [21, 101, 112], [66, 72, 150], [150, 82, 21], [54, 110, 62], [122, 46, 100]];

/// Draws the label of a product as a PNG file, so many pixels wide and five eighths as high.
pub fn render(product: &Product, Size(pixels): Size) -> Vec<u8> {
    let width = pixels as f32;
    let height = (width * 0.625).round();
    // All measures below are in hundredths of the width.
    let unit = width / 100.0;
    let mut canvas = Canvas::new(width as usize, height as usize, PAPER);

    let band = BANDS[product.id.unsigned_abs() as usize % BANDS.len()];
    canvas.rectangle(0.0, 0.0, width, 10.0 * unit, band);
    let small = Typeface::new(HACK_REGULAR, 4.2 * unit);
    canvas.text((5.0 * unit, 6.6 * unit), Align::Left, &small, "F L A S H   S A L E", PAPER);
    canvas.text((95.0 * unit, 6.6 * unit), Align::Right, &small, &shelf(product), PAPER);

    let title = Typeface::new(UBUNTU_LIGHT, 7.4 * unit);
    for (line, text) in title.wrap(&product.name, 90.0 * unit, 2).iter().enumerate() {
        let baseline = (19.0 + 7.6 * line as f32) * unit;
        canvas.text((5.0 * unit, baseline), Align::Left, &title, text, INK);
    }

    price(&mut canvas, product.price_cents, unit);
    barcode(&mut canvas, &product.sku, unit);
    let sku = Typeface::new(HACK_REGULAR, 4.0 * unit);
    canvas.text((26.0 * unit, 58.2 * unit), Align::Centre, &sku, &product.sku, INK);
    canvas.into_png()
}

/// What the corner of the band says.
fn shelf(product: &Product) -> String {
    match product.stock {
        0 => "sold out".to_owned(),
        1..=9 => format!("last {}", product.stock),
        _ => format!("No. {}", product.id),
    }
}

/// The price, large and to the right, its cents raised as on a market stall.
fn price(canvas: &mut Canvas, price_cents: i32, unit: f32) {
    let euros = (price_cents / 100).to_string();
    let cents = match price_cents % 100 {
        0 => String::new(),
        cents => format!("{cents:02}"),
    };
    let large = Typeface::new(UBUNTU_LIGHT, 17.0 * unit);
    let raised = Typeface::new(UBUNTU_LIGHT, 7.5 * unit);
    let cents_left = 94.5 * unit - raised.width(&cents);
    let euros_right = cents_left - 0.6 * unit;
    let sign_right = euros_right - large.width(&euros) - 1.2 * unit;
    let (baseline, raised_baseline) = (57.0 * unit, 50.6 * unit);
    canvas.text((sign_right, raised_baseline), Align::Right, &raised, "€", FAINT);
    // Written twice, a hair apart: the font has no bold face.
    for offset in [0.0, 0.3 * unit] {
        canvas.text((euros_right + offset, baseline), Align::Right, &large, &euros, INK);
        let cents_at = (cents_left + offset / 2.0, raised_baseline);
        canvas.text(cents_at, Align::Left, &raised, &cents, INK);
    }
}

/// The barcode, to the left. Its modules are whole pixels wherever one fits, because a scanner
/// wants sharp edges.
fn barcode(canvas: &mut Canvas, sku: &str, unit: f32) {
    let modules = code128::encode(sku);
    let room = 42.0 * unit;
    let ideal = room / modules.len() as f32;
    let module = if ideal >= 1.0 { ideal.floor() } else { ideal };
    let left = 5.0 * unit + (room - module * modules.len() as f32) / 2.0;
    let left = if ideal >= 1.0 { left.round() } else { left };
    let (top, height) = ((37.0 * unit).round(), (16.5 * unit).round());
    for (place, dark) in modules.into_iter().enumerate() {
        if dark {
            canvas.rectangle(left + module * place as f32, top, module, height, INK);
        }
    }
}

#[cfg(test)]
mod tests;
