//! What every call needs, whatever kind it is: a handler of a node, and a payload.

use clap::Args;
use grid_transport::{HandlerId, Payload};

use crate::{failure::Failure, payload};

#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// The handler's id, 1 to 255.
    #[arg(value_name = "HANDLER", value_parser = clap::value_parser!(u8).range(1..))]
    handler: u8,
    #[arg(value_name = "PAYLOAD", help = payload::HELP)]
    payload: Option<String>,
    /// The node to call.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The subroute under which the handler is registered.
    #[arg(long, value_name = "R")]
    subroute: Option<String>,
}

/// What is called, and with what.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) handler: HandlerId,
    pub(crate) payload: Payload,
    pub(crate) to: String,
    pub(crate) subroute: Option<String>,
}

impl TargetArgs {
    /// Whether the payload is all of stdin.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.payload.as_deref() == Some("-")
    }

    /// Reads the payload: to be done last, as stdin is read only for a call that can be made.
    pub(crate) fn read(self) -> Result<Target, Failure> {
        Ok(Target {
            handler: HandlerId::new(self.handler),
            payload: payload::read(self.payload.as_deref())?,
            to: self.to,
            subroute: self.subroute,
        })
    }
}
