//! The heavy question, and that its answer is right.

use crate::support::Store;

#[tokio::test(flavor = "multi_thread")]
async fn the_report_adds_up() {
    let store = Store::open(500, &[]).await;
    let price_cents = store.get_json("/products/1").await["price_cents"].as_i64().unwrap();
    let sum = |report: &serde_json::Value, column: &str| -> i64 {
        report["bands"].as_array().unwrap().iter().map(|band| band[column].as_i64().unwrap()).sum()
    };

    let before = store.get_json("/report").await;
    assert_eq!(before["bands"].as_array().unwrap().len(), 5);
    assert_eq!(sum(&before, "products"), 500);
    assert_eq!(sum(&before, "orders"), 0);
    assert_eq!(sum(&before, "revenue_cents"), 0);

    for quantity in [1, 3] {
        assert_eq!(store.order(1, quantity).await.status, 201);
    }
    let after = store.get_json("/report").await;
    assert_eq!(sum(&after, "products"), 500, "a product with two orders is one product");
    assert_eq!(sum(&after, "orders"), 2);
    assert_eq!(sum(&after, "pieces_sold"), 4);
    assert_eq!(sum(&after, "revenue_cents"), 4 * price_cents);
    assert_eq!(sum(&after, "pieces_in_stock"), sum(&before, "pieces_in_stock") - 4);
}
