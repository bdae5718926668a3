//! The order in which the parts of a service start: first what can fail for lack of something
//! outside, last the door. They stop in reverse.

use std::time::Duration;

use tenfold_config::Config;
use tenfold_context::Deadline;
use tenfold_db::{Database, DatabaseSettings, ShardDatabase};
use tenfold_runtime::{Lifecycle, Offload, RuntimeSettings, ShardHandle, Shards};
use tenfold_server::{
    Admin, AdminPages, AdminSettings, App, BuildInfo, Decided, OpenPorts, Readiness, Resources,
    Server, ServerSettings,
};
use tenfold_telemetry::log::LogSettings;
use tenfold_telemetry::metrics::{Registry, register_process};

use crate::embedded::EmbeddedPostgres;
use crate::error::StartError;
use crate::running::{Running, Started};
use crate::service::Service;
use crate::settings::EmbeddedSettings;
use crate::sockets::Sockets;

/// How long a start waits for another replica that is migrating the same database.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(300);

/// Time for stopping a part that has nothing to wait for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn start(
    mut service: Service,
    config: &Config,
    registry: &Registry,
    given_up: impl Future<Output = ()>,
) -> Result<Option<Running>, StartError> {
    let sockets = std::mem::take(&mut service.sockets);
    let started = Lifecycle::start(async |lifecycle: &mut Lifecycle| {
        tokio::select! {
            started = start_parts(&service, sockets, config, registry, lifecycle) => {
                started.map_err(Some)
            }
            () = given_up => Err(None),
        }
    });
    match started.await {
        Ok((lifecycle, started)) => Ok(Some(Running { lifecycle, started })),
        Err(failed) => {
            let part = failed.part.unwrap_or("service");
            failed.error.map_or(Ok(None), |error| {
                // The error itself is told by whoever gets it; where that is a person at a terminal,
                // this line of a log would only be in the way.
                tracing::info!(part, "part could not be started");
                Err(error)
            })
        }
    }
}

async fn start_parts(
    service: &Service,
    sockets: Sockets,
    config: &Config,
    registry: &Registry,
    lifecycle: &mut Lifecycle,
) -> Result<Started, StartError> {
    register_process(registry);

    lifecycle.starting("admin");
    // Health can be asked from the beginning, and up to the end.
    let readiness = Readiness::starting();
    let decided = Decided::default();
    let pages = AdminPages {
        registry: registry.clone(),
        readiness: readiness.clone(),
        config: config.explain(),
        decided: decided.clone(),
        build: BuildInfo::new(service.name, service.version),
    };
    let admin = match sockets.admin {
        Some(listener) => Admin::adopt(listener, pages)?,
        None => Admin::start(&config.get::<AdminSettings>(), pages)?,
    };
    let admin_address = admin.local_address();
    lifecycle.started("admin", STOP_TIMEOUT, async move |_| {
        drop(admin);
        Ok::<_, std::convert::Infallible>(())
    });

    lifecycle.starting("server");
    // The port is taken or refused now; connections wait in the kernel until the end of this.
    let server_settings = config.get::<ServerSettings>();
    let open = OpenPorts { server: sockets.server, redirect: sockets.redirect };
    let log_settings = config.get::<LogSettings>();
    let server = Server::bind_or_adopt(&server_settings, open, &log_settings, registry)?;
    let address = server.local_address();

    let mut database_settings = config.get::<DatabaseSettings>();
    let has_database = service.migrations.is_some() || database_settings.url.is_some();
    let mut embedded = None;
    if has_database && database_settings.url.is_none() {
        lifecycle.starting("postgres");
        let postgres = embedded_database(service, config, lifecycle)?;
        database_settings.url = Some(postgres.url());
        embedded = Some(postgres);
    }

    let runtime_settings = config.get::<RuntimeSettings>();
    lifecycle.starting("offload");
    let offload = Offload::start(&runtime_settings, registry)?;
    let stopping = offload.clone();
    lifecycle.started("offload", runtime_settings.stop_timeout, async move |deadline| {
        stopping.stop(deadline).await
    });

    lifecycle.starting("shards");
    let shards = Shards::start(&runtime_settings, registry)?;
    let handles = shards.handles().to_vec();
    let (first_death_sender, first_death) = tokio::sync::watch::channel(None);
    let failed = shards.failed();
    tokio::spawn(async move {
        let death = failed.await;
        first_death_sender.send_replace(Some(death));
    });
    lifecycle.started("shards", runtime_settings.stop_timeout, async move |deadline| {
        shards.stop(deadline).await
    });

    let mut on_shards = Vec::new();
    let database = if has_database {
        lifecycle.starting("database");
        let database = open_database(service, &database_settings, registry, &handles[0]).await?;
        if let Some(size) = database.pool_size() {
            decided.set("database.pool_max", size.to_string());
        }
        for shard in &handles {
            let database = database.clone();
            on_shards.push(shard.run(async move { database.on_this_shard() }).await?);
        }
        let (closing, lanes) = (database.clone(), on_shards.clone());
        lifecycle.started("database", STOP_TIMEOUT, async move |_| {
            closing.close();
            lanes.iter().for_each(ShardDatabase::close);
            Ok::<_, std::convert::Infallible>(())
        });
        Some(database)
    } else {
        None
    };
    lifecycle.starting("server");
    // Every part has registered what it measures.
    registry.check()?;

    // Last of all the door opens.
    let serving = server.serve(&handles, |shard| App {
        router: (service.routes)(),
        resources: Resources { database: on_shards.get(shard).cloned(), offload: offload.clone() },
    });
    let serving = serving.map_err(|cause| StartError::System { what: "the port", cause })?;
    let certificates = serving.certificates();
    let drain = server_settings.drain_delay + server_settings.drain_timeout + STOP_TIMEOUT;
    let draining = readiness.clone();
    lifecycle.started("server", drain, async move |_| {
        let report = serving.drain(&draining).await;
        match report.cut {
            0 => Ok(()),
            cut => Err(format!("connections cut at server.drain_timeout: {cut}")),
        }
    });
    readiness.set_ready();
    tracing::info!(%address, admin = %admin_address, shards = handles.len(), "serving");
    Ok(Started {
        address,
        admin_address,
        database_url: database_settings.url,
        embedded,
        database,
        shards: handles,
        certificates,
        first_death,
    })
}

/// Starts a Postgres of the service's own.
fn embedded_database(
    service: &Service,
    config: &Config,
    lifecycle: &mut Lifecycle,
) -> Result<EmbeddedPostgres, StartError> {
    if !service.embedded_database {
        return Err(StartError::NoDatabase);
    }
    let postgres =
        EmbeddedPostgres::start(config.get::<EmbeddedSettings>(), service.name, &service.on_wait)?;
    let stopping = postgres.clone();
    lifecycle.started("postgres", STOP_TIMEOUT, async move |_| stopping.stop().map(drop));
    Ok(postgres)
}

/// Opens and migrates the database, on a shard, whose event loop then drives its first
/// connection.
async fn open_database(
    service: &Service,
    settings: &DatabaseSettings,
    registry: &Registry,
    shard: &ShardHandle,
) -> Result<Database, StartError> {
    let (settings, registry) = (settings.clone(), registry.clone());
    let (name, migrations) = (service.name, service.migrations.clone());
    let opened = shard.run(async move {
        let opened = Database::open(&settings, name, &registry).await;
        let unusable =
            |cause| StartError::Database { url: settings.url.clone().unwrap_or_default(), cause };
        let database = opened.map_err(unusable)?;
        if let Some(migrations) = migrations {
            let ran = migrations.run(&database, Deadline::after(MIGRATE_TIMEOUT)).await?;
            for migration in ran {
                tracing::info!(migration, "migrated");
            }
        }
        Ok(database)
    });
    opened.await?
}
