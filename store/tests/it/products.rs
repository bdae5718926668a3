//! What is for sale: one product, pages, searches, and everything that is no such request.

use serde_json::Value;

use crate::support::{Store, assert_problem};

fn ids(products: &Value) -> Vec<i64> {
    let products = products["products"].as_array().expect("a list of products");
    products.iter().map(|product| product["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_read_by_its_number() {
    let store = Store::open(3, &[]).await;

    let product = store.get_json("/products/1").await;
    assert_eq!(product["id"], 1);
    assert_eq!(product["sku"], "TF-000001");
    assert_eq!(product["name"], "Aurelio & Figli Travel Hemp Cardigan, M, navy");
    assert_eq!(product["price_cents"], 6699);
    assert_eq!(product["stock"], 4035);
    assert_eq!(product["created_at"], "2025-06-26T02:05:43Z");
    assert!(product.get("search").is_none(), "the index is nobody's business");

    for unknown in ["/products/4", "/products/0", "/products/-1", "/products/9223372036854775807"] {
        assert_problem(&store.get(unknown).await, 404, "not_found", None);
    }
    for wrong in ["/products/one", "/products/1.5", "/products/9223372036854775808"] {
        assert_problem(&store.get(wrong).await, 422, "invalid", Some("id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_to_the_end() {
    let store = Store::open(250, &[]).await;

    let mut seen = Vec::new();
    let mut path = Some("/products?limit=100".to_owned());
    while let Some(next) = path {
        let page = store.get_json(&next).await;
        seen.extend(ids(&page));
        path = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, (1..=250).collect::<Vec<i64>>());

    assert_eq!(ids(&store.get_json("/products").await).len(), 20, "the usual page");
    assert_eq!(ids(&store.get_json("/products?after=248").await), [249, 250]);
    assert_eq!(ids(&store.get_json("/products?after=250").await), [] as [i64; 0]);
    assert_eq!(ids(&store.get_json("/products?after=-5&limit=1").await), [1]);

    for limit in ["0", "101", "-1", "many", "", "99999999999999999999"] {
        let response = store.get(&format!("/products?limit={limit}")).await;
        assert_problem(&response, 422, "invalid", Some("limit"));
    }
    assert_problem(&store.get("/products?after=x").await, 422, "invalid", Some("after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_words_in_any_form_and_ranks_the_name_first() {
    let store = Store::open(5_000, &[]).await;

    let found = store.get_json("/products/search?words=skillets&limit=100").await;
    let products = found["products"].as_array().unwrap();
    assert!(!products.is_empty());
    for product in products {
        assert!(product["name"].as_str().unwrap().contains("Skillet"), "{product}");
    }

    let both = store.get_json("/products/search?words=copper+kettle&limit=100").await;
    for product in both["products"].as_array().unwrap() {
        let name = product["name"].as_str().unwrap();
        assert!(name.contains("Copper") && name.contains("Kettle"), "{product}");
    }

    // The same word once: in one product's name, in another's description.
    for (id, column) in [(4_999, "description"), (5_000, "name")] {
        let update = format!("UPDATE products SET {column} = 'zanzibar' WHERE id = {id}");
        let updated =
            store.ask(async move |db| db.exclusive().execute(diesel::sql_query(update)).await);
        assert_eq!(updated.await.unwrap(), 1);
    }
    let ranked = store.get_json("/products/search?words=zanzibar").await;
    assert_eq!(ids(&ranked), [5_000, 4_999], "a word in the name weighs more");

    assert_eq!(ids(&store.get_json("/products/search?words=oak").await).len(), 20);
    assert_eq!(ids(&store.get_json("/products/search?words=oak&limit=3").await).len(), 3);
    for nothing in ["xyzzy", "the", "%26+%7C+%21+%28", "oak+-oak", "%F0%9F%A6%80"] {
        let found = store.get_json(&format!("/products/search?words={nothing}")).await;
        assert_eq!(ids(&found), [] as [i64; 0], "{nothing}");
    }

    for wrong in ["words=", "words=+++", "words=a%00b", "limit=3", ""] {
        let response = store.get(&format!("/products/search?{wrong}")).await;
        assert_problem(&response, 422, "invalid", Some("words"));
    }
    let too_long = format!("/products/search?words={}", "a".repeat(201));
    assert_problem(&store.get(&too_long).await, 422, "invalid", Some("words"));
    let response = store.get("/products/search?words=oak&limit=0").await;
    assert_problem(&response, 422, "invalid", Some("limit"));
}
