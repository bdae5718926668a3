//! Labels for the shelf, drawn on the offload pool.

use crate::support::{Store, assert_problem};

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_a_picture_of_the_size_that_was_asked_for() {
    let store = Store::open(2, &[]).await;

    for (path, width) in [("/products/1/label.png", 640), ("/products/2/label.png?size=64", 64)] {
        let response = store.get(path).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("image/png"));
        assert_eq!(&response.body[..8], b"\x89PNG\r\n\x1a\n");
        // The header chunk comes first, and in it the width.
        assert_eq!(response.body[16..20], u32::to_be_bytes(width));
    }

    assert_problem(&store.get("/products/3/label.png").await, 404, "not_found", None);
    assert_problem(&store.get("/products/x/label.png").await, 422, "invalid", Some("id"));
    for size in ["63", "2049", "0", "-1", "large", "4294967296"] {
        let response = store.get(&format!("/products/1/label.png?size={size}")).await;
        assert_problem(&response, 422, "invalid", Some("size"));
    }
}
