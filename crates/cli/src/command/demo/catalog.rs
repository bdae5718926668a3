//! Fills the shop, with a bar that shows how far it is.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use store::catalog::{self, Catalog};
use tenfold::Running;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::Db;

use super::{Error, grouped, say, seconds};

/// A demo is not more than that.
pub(super) const PRODUCTS_MAX: u32 = 1_000_000;

/// The same products on every machine.
const SEED: u64 = 10;

/// Longer than a million products take on a slow disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Loads the catalog unless a kept database has one; on a shard, where the database is at home.
/// How many products there are then.
pub(super) async fn fill(running: &Running, products: u32) -> Result<u64, Error> {
    let (Some(database), Some(shard)) = (running.database().cloned(), running.shards().first())
    else {
        return Err(Error::NoDatabase);
    };
    let index = shard.index();
    let filled = shard.run(async move {
        let context = Context::new().with_deadline(Deadline::after(LOAD_TIMEOUT));
        let db = database.on_this_shard().handle(context);
        load(&db, products).await
    });
    let filled = filled.await.map_err(|_gone| Error::Shard(index))?;
    filled.map_err(|cause| match cause.postgres() {
        Some(said) if said.is_disk_full() => Error::DiskFull(cause),
        _ => Error::Catalog { cause, said: running.postgres_said() },
    })
}

async fn load(db: &Db, products: u32) -> tenfold_db::Result<u64> {
    let there = catalog::count(db).await?.unsigned_abs();
    if there > 0 {
        say("catalog", &format!("{} products were there already", grouped(there)));
        return Ok(there);
    }
    let begun = Moment::now();
    let bar = ProgressBar::new(u64::from(products)).with_style(
        ProgressStyle::with_template("  catalog   {bar:40} {human_pos} of {human_len} products")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let loaded = catalog::load(db, Catalog::new(SEED, products), |taken| bar.set_position(taken));
    let loaded = loaded.await;
    bar.finish_and_clear();
    let loaded = loaded?;
    say("catalog", &format!("{} products loaded in {}", grouped(loaded), seconds(begun)));
    Ok(loaded)
}
