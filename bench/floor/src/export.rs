//! All products as one JSON array, the shortest way that holds no connection: in chunks by key,
//! each a statement of its own, and each one frame of the body.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use hyper::body::Frame;
use tokio_postgres::Error;

use crate::product::Products;

/// The frames of a body.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Error>> + Send>>;

/// Where the export stands.
struct Export {
    products: Arc<Products>,
    /// The highest number so far; `None` at the end.
    after: Option<i64>,
    chunk: BytesMut,
}

/// All products by number.
pub(crate) fn export(products: Arc<Products>) -> Frames {
    let export = Export { products, after: Some(0), chunk: BytesMut::new() };
    Box::pin(stream::try_unfold(export, |mut export| async move {
        let Some(after) = export.after else { return Ok(None) };
        let products = export.products.after(after).await?;
        if after == 0 {
            export.chunk.put_u8(b'[');
        }
        for (index, product) in products.iter().enumerate() {
            if after > 0 || index > 0 {
                export.chunk.put_slice(b",\n");
            }
            // What is in a product is always JSON.
            let _ = serde_json::to_writer((&mut export.chunk).writer(), product);
        }
        export.after = products.last().map(|product| product.id);
        if export.after.is_none() {
            export.chunk.put_u8(b']');
        }
        let frame = Frame::data(export.chunk.split().freeze());
        Ok(Some((frame, export)))
    }))
}
