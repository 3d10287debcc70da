//! `grid node`: a node with the probe handlers, until a signal ends it.

use std::time::Duration;

use grid_transport::{Manager, Settings, SharedSecret};
use tokio::net::TcpListener;

use crate::{args::NodeConfig, dialer::OverrideDialer, failure::Failure, probe, signal::Signals};

/// How long calls that are open when the node is told to end may go on.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the node until SIGINT or SIGTERM, then drains it. A second signal ends it at once.
pub(crate) async fn run(config: NodeConfig) -> Result<(), Failure> {
    if config.token.is_on_command_line() {
        tracing::warn!(
            "a token given by --token shows in the process list; prefer --token-file or GRID_TOKEN"
        );
    }
    let mut signals = Signals::catch()?;
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|error| Failure::bad(format!("can't listen on '{}': {error}", config.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::failed(format!("'{}' has no address: {error}", config.listen)))?;
    let manager = build(&config)?;
    let serving = manager
        .serve(listener)
        .map_err(|error| Failure::failed(format!("can't serve on {address}: {error}")))?;
    tracing::info!(local = %config.local, "listening on {address}");
    let signal = signals.next().await;
    tracing::info!("{signal}: draining for at most {} s", GRACE.as_secs());
    tokio::select! {
        drained = manager.shutdown(GRACE) => {
            tracing::info!(complete = drained.complete, calls = drained.calls, handlers = drained.handlers, "drained");
        }
        signal = signals.next() => {
            tracing::warn!("{signal} again: ending at once");
            return Err(Failure::Interrupted);
        }
    }
    serving.stop().await;
    Ok(())
}

fn build(config: &NodeConfig) -> Result<Manager, Failure> {
    let mut settings = Settings::new();
    if let Some(period) = config.ping {
        settings = settings.ping_interval(period);
    }
    if let Some(period) = config.stream_ping {
        settings = settings.stream_ping_interval(period);
    }
    let mut builder = Manager::builder(config.local.as_str())
        .peers(config.peers.iter().map(|peer| peer.as_str()))
        .path(config.path.as_str())
        .auth(SharedSecret::new(config.token.text()))
        .dialer(OverrideDialer::new(config.dial.clone()))
        .settings(settings);
    for handler in probe::handlers(config.with_69) {
        builder = builder.register(handler);
    }
    builder
        .build()
        .map_err(|error| Failure::bad(error.to_string()))
}
