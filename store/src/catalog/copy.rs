//! Products as lines of COPY's text format, in chunks that fit into memory however long the
//! catalog is.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{Catalog, NewProduct};

/// What Postgres is told before the lines come; the columns in the order of [`push_line`].
pub(super) const SQL: &str =
    "COPY products (sku, name, description, price_cents, stock, created_at) FROM STDIN";

/// Lines are gathered up to this size: large enough that a chunk costs little, small enough that
/// making one does not hold up an event loop (about a third of a millisecond).
const CHUNK_BYTES: usize = 64 * 1024;

/// The catalog as one text in COPY's format, for `psql` and for eyes.
pub fn copy_text(catalog: Catalog) -> String {
    let mut text = String::new();
    for product in catalog.products() {
        push_line(&mut text, &product);
    }
    text
}

/// The catalog in chunks of whole lines. Calls `progress` with the number of products in the
/// chunks before, whenever the next one is asked for, and at the end.
pub(super) fn chunks(
    catalog: Catalog,
    mut progress: impl FnMut(u64) + Send,
) -> impl Stream<Item = Bytes> + Send {
    let mut products = catalog.products();
    let mut made = 0;
    stream::iter(std::iter::from_fn(move || {
        progress(made);
        let mut chunk = String::with_capacity(CHUNK_BYTES + 1024);
        while chunk.len() < CHUNK_BYTES
            && let Some(product) = products.next()
        {
            push_line(&mut chunk, &product);
            made += 1;
        }
        (!chunk.is_empty()).then(|| Bytes::from(chunk))
    }))
}

fn push_line(text: &mut String, product: &NewProduct) {
    push_escaped(text, &product.sku);
    text.push('\t');
    push_escaped(text, &product.name);
    text.push('\t');
    push_escaped(text, &product.description);
    let NewProduct { price_cents, stock, created_at, .. } = product;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\t{price_cents}\t{stock}\t{}", created_at.to_rfc3339());
}

/// A value as COPY wants it: what would end a field, a line or an escape is escaped.
fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::future::FutureExt;

    use super::*;

    fn escaped(value: &str) -> String {
        let mut text = String::new();
        push_escaped(&mut text, value);
        text
    }

    #[test]
    fn what_would_end_a_field_a_line_or_an_escape_is_escaped() {
        assert_eq!(escaped("plain, with 12\" & é"), "plain, with 12\" & é");
        assert_eq!(escaped("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
        assert_eq!(escaped("\\N"), "\\\\N", "text that looks like NULL is text");
        assert_eq!(escaped("\\."), "\\\\.", "text that looks like the end is not the end");
    }

    #[test]
    fn the_chunks_are_the_whole_text_in_whole_lines_of_bounded_size() {
        let catalog = Catalog::new(7, 2_000);
        let mut seen = Vec::new();
        let chunks: Vec<Bytes> = chunks(catalog, |made| seen.push(made))
            .collect()
            .now_or_never()
            .expect("there is nothing to wait for");

        assert!(chunks.len() > 3, "2,000 products are more than one chunk");
        assert!(chunks.iter().all(|chunk| chunk.ends_with(b"\n")));
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK_BYTES + 1024));
        assert_eq!(chunks.concat(), copy_text(catalog).into_bytes());
        assert_eq!(seen.first(), Some(&0));
        assert_eq!(seen.last(), Some(&2_000));
        assert!(seen.is_sorted());
    }

    #[test]
    fn an_empty_catalog_is_no_chunk() {
        let chunks = chunks(Catalog::new(7, 0), |_| ()).collect::<Vec<_>>().now_or_never();
        assert_eq!(chunks, Some(vec![]));
    }
}
