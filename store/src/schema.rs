//! The tables as diesel sees them: what `diesel print-schema` writes.

diesel::table! {
    orders (id) {
        id -> Int8,
        product_id -> Int8,
        quantity -> Int4,
        price_cents -> Int4,
        placed_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use diesel_full_text_search::Tsvector;

    products (id) {
        id -> Int8,
        sku -> Text,
        name -> Text,
        description -> Text,
        price_cents -> Int4,
        stock -> Int4,
        created_at -> Timestamptz,
        search -> Tsvector,
    }
}

diesel::joinable!(orders -> products (product_id));

diesel::allow_tables_to_appear_in_same_query!(orders, products,);
