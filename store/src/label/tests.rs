//! What every label promises, whatever the product is called and costs.

use chrono::DateTime;

use super::*;

fn product(name: &str) -> Product {
    Product {
        id: 7,
        sku: "TF-7K3Q9D".to_owned(),
        name: name.to_owned(),
        description: "A good one.".to_owned(),
        price_cents: 24_995,
        stock: 12,
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// Width, height and the pixels, row by row.
fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.color_type, png::ColorType::Rgb);
    (frame.width, frame.height, pixels)
}

#[test]
fn a_label_is_a_png_of_the_size_that_was_asked_for() {
    for size in [SIZE_MIN, 65, 333, SIZE_DEFAULT, SIZE_MAX] {
        let file = render(&product("Bergström Cast Iron Skillet"), Size(size));
        let (width, height, _) = decode(&file);
        assert_eq!((width, height), (size, (size as f32 * 0.625).round() as u32));
    }
}

#[test]
fn the_same_product_has_the_same_label() {
    let label = |name| render(&product(name), Size::default());
    assert_eq!(label("Skillet"), label("Skillet"));
    assert_ne!(label("Skillet"), label("Skillets"));
}

#[test]
fn any_name_and_any_price_can_be_drawn() {
    let names = [
        "",
        " ",
        "x",
        "中文 🦀 \u{202e}",
        "Donaudampfschifffahrtsgesellschaftskapitänsmütze",
        &"word ".repeat(500),
    ];
    for name in names {
        for price_cents in [1, 100, i32::MAX] {
            for size in [SIZE_MIN, SIZE_DEFAULT] {
                let product = Product { price_cents, ..product(name) };
                decode(&render(&product, Size(size)));
            }
        }
    }
}

/// Reads the barcode back from the pixels, as a scanner would.
#[test]
fn the_barcode_on_the_label_is_that_of_the_stock_number() {
    for size in [400, SIZE_DEFAULT, SIZE_MAX] {
        let product = product("Bergström Cast Iron Skillet");
        let (width, height, pixels) = decode(&render(&product, Size(size)));
        // A line through the bars, and only the left part of it, where they are.
        let row = (height * 45 / 62) as usize;
        let start = row * width as usize * 3;
        let line = &pixels[start..start + width as usize * 48 / 100 * 3];
        let dark: Vec<bool> = line.chunks(3).map(|pixel| pixel[0] < 128).collect();
        let first = dark.iter().position(|dark| *dark).expect("a bar");
        let last = dark.iter().rposition(|dark| *dark).expect("a bar");
        let modules = code128::encode(&product.sku);
        let module = (last + 1 - first) / modules.len();
        assert_eq!((last + 1 - first) % modules.len(), 0, "modules are whole pixels");
        let seen: Vec<bool> = dark[first..=last].iter().copied().step_by(module).collect();
        assert_eq!(seen, modules);
    }
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(Size::try_from(SIZE_MIN), Ok(Size(64)));
    assert_eq!(Size::try_from(SIZE_MAX), Ok(Size(2048)));
    for pixels in [0, SIZE_MIN - 1, SIZE_MAX + 1, u32::MAX] {
        let said = Size::try_from(pixels).unwrap_err();
        assert_eq!(said, format!("must be from 64 to 2048 pixels, not {pixels}"));
    }
}
