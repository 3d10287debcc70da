//! `grid node`: a node with the probe handlers, until a signal ends it.

mod args;
mod running;

use std::{sync::Arc, time::Duration};

use grid_transport::{Manager, Settings};
use tokio::{net::TcpListener, time::timeout};

pub(crate) use self::args::{NodeArgs, NodeConfig};
use self::running::Running;
use crate::{
    control::{self, Control},
    credentials::OPEN,
    failure::Failure,
    probe,
    signal::Signals,
    status::{self, Events, Facts, RowSource, StatusServer},
    token::ON_COMMAND_LINE,
};

/// How long calls that are open when the node is told to end may go on.
const GRACE: Duration = Duration::from_secs(10);
/// What ending at once may take: no more than it takes to close what is open.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs the node until SIGINT or SIGTERM, then drains it. A second signal ends it at once. `events` are those of its log.
pub(crate) async fn run(config: NodeConfig, events: Events) -> Result<(), Failure> {
    if config.place.credentials.are_on_command_line() {
        tracing::warn!("{ON_COMMAND_LINE}");
    }
    if config.place.credentials.are_open() {
        tracing::warn!("{OPEN}");
    }
    let mut signals = Signals::catch()?;
    let listener = TcpListener::bind(&config.place.listen)
        .await
        .map_err(|error| {
            Failure::bad(format!(
                "can't listen on '{}': {error}",
                config.place.listen
            ))
        })?;
    let address = listener.local_addr().map_err(|error| {
        Failure::failed(format!("'{}' has no address: {error}", config.place.listen))
    })?;
    let control = match &config.control {
        Some(path) => Some(control::bind(path)?),
        None => None,
    };
    let status = match &config.status {
        Some(status) => Some(status::bind(status).await?),
        None => None,
    };
    let row = RowSource::default();
    let manager = build(&config, &row)?;
    let facts = Arc::new(Facts::new(manager.clone(), events));
    // Peers may ask for its row for as long as this function keeps them.
    row.tell_of(&facts);
    let running = Running::start(&config.place, manager, listener).await?;
    let control = control.map(|bound| Control::serve(bound, facts.clone()));
    let status = status.map(|socket| StatusServer::serve(socket, facts.clone()));
    tracing::info!(local = %config.place.local, "listening on {address}");
    let signal = signals.next().await;
    tracing::info!("{signal}: draining for at most {} s", GRACE.as_secs());
    tokio::select! {
        drained = running.drain(GRACE) => {
            tracing::info!(complete = drained.complete, calls = drained.calls, handlers = drained.handlers, "drained");
        }
        signal = signals.next() => {
            tracing::warn!("{signal} again: ending at once");
            let end = async {
                running.drain(Duration::ZERO).await;
                running.stop().await;
                if let Some(status) = status {
                    status.stop().await;
                }
            };
            // What has not ended by then ends with the process.
            let _ = timeout(AT_ONCE, end).await;
            if let Some(control) = control {
                control.abort().await;
            }
            return Err(Failure::Interrupted("interrupted".into()));
        }
    }
    running.stop().await;
    if let Some(control) = control {
        control.stop().await;
    }
    if let Some(status) = status {
        status.stop().await;
    }
    Ok(())
}

fn build(config: &NodeConfig, row: &RowSource) -> Result<Manager, Failure> {
    let mut settings = Settings::new();
    if let Some(period) = config.ping {
        settings = settings.ping_interval(period);
    }
    if let Some(period) = config.stream_ping {
        settings = settings.stream_ping_interval(period);
    }
    let builder = config.place.builder(&config.place.peers).settings(settings);
    let mut builder = builder.register(row.handler());
    for handler in probe::handlers(config.with_69) {
        builder = builder.register(handler);
    }
    builder
        .build()
        .map_err(|error| Failure::bad(error.to_string()))
}
