//! Something to sell: a catalog of up to a million products that looks like one, made from a
//! seed, so that a demo, a test and a measurement on another machine talk about the same goods.

mod copy;
mod random;
mod words;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use tenfold::db::{Db, Result};

pub use copy::copy_text;

use crate::schema::products;
use random::Random;
use words::{ADJECTIVES, BRANDS, KINDS, Kind, OPENINGS};

/// The most products that a catalog may have; stock numbers are unique up to this number.
pub const PRODUCTS_MAX: u32 = 1 << 30;

/// Digits of a stock number: those of Crockford's base 32, which has no letter that could be
/// read as a digit.
const SKU_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 1 January 2025: the day on which the oldest product came into the catalog, in seconds since
/// 1970. A fixed day, because the same seed has to give the same catalog next year.
const OPENED_AT_SECONDS: i64 = 1_735_689_600;

/// How many days after that the newest one came.
const GROWING_DAYS: u32 = 365;

/// A product that is not in the database yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// Stock number, unique in its catalog, such as `TF-7K3Q9D`.
    pub sku: String,
    /// Brand and kind, in one line.
    pub name: String,
    /// One to three sentences.
    pub description: String,
    /// Price in euro cents, above 0.
    pub price_cents: i32,
    /// Pieces that can be sold, 0 or more.
    pub stock: i32,
    /// When it came into the catalog.
    pub created_at: DateTime<Utc>,
}

/// A catalog is its seed and its size: the products are made when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Catalog {
    seed: u64,
    products: u32,
}

impl Catalog {
    /// The catalog of that many products (at most [`PRODUCTS_MAX`]) that belongs to that seed.
    /// A larger one of the same seed begins with the same products.
    pub fn new(seed: u64, products: u32) -> Catalog {
        Catalog { seed, products: products.min(PRODUCTS_MAX) }
    }

    /// How many products it has.
    pub fn len(&self) -> u32 {
        self.products
    }

    /// Whether there is nothing to sell.
    pub fn is_empty(&self) -> bool {
        self.products == 0
    }

    /// Its products, made one at a time.
    pub fn products(self) -> impl ExactSizeIterator<Item = NewProduct> + Send {
        (0..self.products).map(move |row| product(self.seed, row))
    }
}

/// Puts a catalog into the database by COPY, all of it or nothing; how many products that were.
/// Calls `progress` with how many Postgres has taken so far. The deadline is that of `db`:
/// a million products take longer than a request may.
///
/// # Errors
/// When the database cannot be reached, has such products already, or the deadline passes.
pub async fn load(db: &Db, catalog: Catalog, progress: impl FnMut(u64) + Send) -> Result<u64> {
    let copied = db.copy_in(copy::SQL, copy::chunks(catalog, progress)).await?;
    // Until Postgres has counted, it plans for an empty table; until it has tidied up, every
    // search goes through the index' list of new entries, one by one.
    db.exclusive().execute(diesel::sql_query("VACUUM (ANALYZE) products")).await?;
    Ok(copied)
}

/// How many products the database has.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(db: &Db) -> Result<i64> {
    db.exclusive().first(products::table.count()).await
}

/// The product in that row of the catalog.
fn product(seed: u64, row: u32) -> NewProduct {
    let random = &mut Random::of_row(seed, row);
    let kind = KINDS[random.between(0, KINDS.len() as u32 - 1) as usize];
    let material = random.pick(kind.materials);
    NewProduct {
        sku: sku(seed, row),
        name: name(random, kind, material),
        description: description(random, kind, material),
        price_cents: price_cents(random, kind),
        stock: stock(random),
        created_at: created_at(random),
    }
}

/// Scatters the numbers of rows over all stock numbers. Multiplying by an odd number and adding
/// another one, both modulo 2³⁰, never gives the same result for two rows.
fn sku(seed: u64, row: u32) -> String {
    let scattered = u64::from(row).wrapping_mul(0x2545_f491).wrapping_add(seed);
    let digits = (0..6).rev().map(|place| {
        let digit = scattered >> (5 * place) & 31;
        char::from(SKU_DIGITS[digit as usize])
    });
    "TF-".chars().chain(digits).collect()
}

fn name(random: &mut Random, kind: &Kind, material: &str) -> String {
    let brand = random.pick(BRANDS);
    let noun = random.pick(kind.nouns);
    let mut name = if random.chance(60) {
        format!("{brand} {} {material} {noun}", random.pick(ADJECTIVES))
    } else {
        format!("{brand} {material} {noun}")
    };
    if random.chance(70) {
        name.push_str(", ");
        name.push_str(random.pick(kind.variants));
    }
    name
}

fn description(random: &mut Random, kind: &Kind, material: &str) -> String {
    let mut description = random.pick(OPENINGS).replace("{}", &material.to_lowercase());
    // A material may open the sentence, and then begins with a capital letter after all.
    if let Some(first) = description.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    description.push('.');
    if random.chance(75) {
        description.push_str(" Made for ");
        description.push_str(random.pick(kind.purposes));
        description.push('.');
    }
    if random.chance(60) {
        description.push(' ');
        description.push_str(random.pick(kind.care));
    }
    description
}

/// Most things are cheap, and prices end in what prices end in.
fn price_cents(random: &mut Random, kind: &Kind) -> i32 {
    let (cheapest, dearest) = kind.euros;
    // The smallest of three is most often near the lower end.
    let euros = (0..3).map(|_| random.between(cheapest, dearest)).min().unwrap_or(cheapest);
    let cents: u32 = match random.between(1, 100) {
        1..=55 => 99,
        56..=75 => 95,
        76..=85 => 90,
        86..=92 => 49,
        _ => 0,
    };
    // Two hundred euros and more are asked for in round numbers.
    let cents = if euros >= 200 { 0 } else { cents };
    i32::try_from(euros * 100 + cents).expect("the dearest thing costs 1,200 euros")
}

/// A shelf as it is: some of it empty, most of it full enough, a little of it piled high.
fn stock(random: &mut Random) -> i32 {
    let pieces = match random.between(1, 100) {
        1..=5 => 0,
        6..=25 => random.between(1, 9),
        26..=85 => random.between(10, 199),
        _ => random.between(200, 5_000),
    };
    i32::try_from(pieces).expect("at most 5,000")
}

fn created_at(random: &mut Random) -> DateTime<Utc> {
    let age = TimeDelta::days(random.between(0, GROWING_DAYS - 1).into())
        + TimeDelta::seconds(random.between(0, 86_399).into());
    DateTime::from_timestamp(OPENED_AT_SECONDS, 0).expect("a day in 2025") + age
}

#[cfg(test)]
mod tests;
