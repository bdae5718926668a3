-- What is on the shelves and what was sold, by price band. It reads both tables from end to end.
WITH bands (name, from_cents, to_cents) AS (
    VALUES
        ('under 20 euros', 0, 2000),
        ('20 to 50 euros', 2000, 5000),
        ('50 to 100 euros', 5000, 10000),
        ('100 to 200 euros', 10000, 20000),
        ('200 euros and more', 20000, NULL)
),
sold AS (
    SELECT
        product_id,
        count(*) AS orders,
        sum(quantity) AS pieces,
        sum(quantity::bigint * price_cents) AS revenue_cents
    FROM orders
    GROUP BY product_id
)
SELECT
    bands.name AS band,
    count(products.id) AS products,
    count(products.id) FILTER (WHERE products.stock = 0) AS products_sold_out,
    coalesce(sum(products.stock), 0)::bigint AS pieces_in_stock,
    coalesce(sum(products.stock::bigint * products.price_cents), 0)::bigint AS stock_value_cents,
    coalesce(sum(sold.orders), 0)::bigint AS orders,
    coalesce(sum(sold.pieces), 0)::bigint AS pieces_sold,
    coalesce(sum(sold.revenue_cents), 0)::bigint AS revenue_cents
FROM bands
LEFT JOIN products
    ON products.price_cents >= bands.from_cents
    AND (products.price_cents < bands.to_cents OR bands.to_cents IS NULL)
LEFT JOIN sold ON sold.product_id = products.id
GROUP BY bands.name, bands.from_cents
ORDER BY bands.from_cents
