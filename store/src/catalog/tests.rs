//! What a catalog promises: the same products for the same seed, and no two alike in stock number.

use std::collections::HashSet;

use super::*;

fn sample() -> Vec<NewProduct> {
    Catalog::new(1, 20_000).products().collect()
}

#[test]
fn the_same_seed_gives_the_same_catalog() {
    let catalog = Catalog::new(42, 100);
    assert!(catalog.products().eq(catalog.products()));
    assert!(catalog.products().eq(Catalog::new(42, 1_000).products().take(100)));
    assert!(!catalog.products().eq(Catalog::new(43, 100).products()));
}

/// A change here changes every demo, test and measurement: only on purpose.
#[test]
fn the_first_product_is_what_it_always_was() {
    assert_eq!(
        copy_text(Catalog::new(1, 1)),
        "TF-000001\tAurelio & Figli Travel Hemp Cardigan, M, navy\t\
         Hemp from a family business in its third generation. Made for mild winters.\t\
         6699\t4035\t2025-06-26T02:05:43+00:00\n"
    );
}

#[test]
fn a_catalog_has_the_size_that_was_asked_for() {
    assert_eq!(Catalog::new(1, 0).products().count(), 0);
    assert!(Catalog::new(1, 0).is_empty());
    assert_eq!(Catalog::new(1, 1_234).products().count(), 1_234);
    assert_eq!(Catalog::new(1, u32::MAX).len(), PRODUCTS_MAX);
}

#[test]
fn stock_numbers_are_unique() {
    let skus: HashSet<String> = (0..1_000_000).map(|row| sku(3, row)).collect();
    assert_eq!(skus.len(), 1_000_000);
    assert_ne!(sku(3, PRODUCTS_MAX - 1), sku(3, 0));
}

#[test]
fn every_product_fits_its_table() {
    for product in sample() {
        assert!((1..=120).contains(&product.name.chars().count()), "{}", product.name);
        assert!(product.price_cents > 0, "{product:?}");
        assert!(product.stock >= 0, "{product:?}");
        assert!(!product.description.contains("{}"), "{product:?}");
    }
}

#[test]
fn names_have_variety() {
    let products = sample();
    let names: HashSet<&str> = products.iter().map(|product| product.name.as_str()).collect();
    assert!(names.len() > products.len() * 9 / 10, "{} of {}", names.len(), products.len());
}

#[test]
fn descriptions_have_one_to_three_sentences() {
    let sentences = |product: &NewProduct| {
        let text = &product.description;
        // A full stop at the end, and every ". " before it that begins a sentence.
        1 + text
            .match_indices(". ")
            .filter(|(at, _)| text[at + 2..].starts_with(char::is_uppercase))
            .count()
    };
    let mut seen = HashSet::new();
    for product in sample() {
        seen.insert(sentences(&product));
        assert!(product.description.ends_with('.'), "{product:?}");
        assert!(product.description.starts_with(|first: char| !first.is_lowercase()));
    }
    assert!(seen.is_subset(&HashSet::from([1, 2, 3])), "{seen:?}");
    assert!(seen.len() == 3, "{seen:?}");
}

#[test]
fn prices_look_like_prices_and_most_things_are_cheap() {
    let mut prices: Vec<i32> = sample().iter().map(|product| product.price_cents).collect();
    assert!(prices.iter().all(|price| [0, 49, 90, 95, 99].contains(&(price % 100))));
    prices.sort_unstable();
    let median = prices[prices.len() / 2];
    let dearest = prices[prices.len() - 1];
    assert!(median * 4 < dearest, "median {median}, dearest {dearest}");
}

#[test]
fn some_shelves_are_empty_and_most_are_not() {
    let products = sample();
    let empty = products.iter().filter(|product| product.stock == 0).count();
    assert!((products.len() / 50..products.len() / 10).contains(&empty), "{empty}");
}
