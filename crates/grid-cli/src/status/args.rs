//! The options of `grid node` for its status.

use std::path::PathBuf;

use clap::Args;

use super::access::read_token;
use crate::{failure::Failure, token::Token, values::parse_address};

/// Where a node serves its status, and to whom.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StatusArgs {
    /// Serve the status over HTTP at ADDR (HOST:PORT): a page for browsers at /, and JSON at
    /// /status. An address that is not of the loopback interface needs --status-token-file.
    #[arg(long, value_name = "ADDR")]
    pub(crate) status: Option<String>,
    /// A file that holds the token by which the status may be read: as `Authorization: Bearer
    /// TOKEN`, or in a browser as the password, with any name of a user.
    #[arg(long, value_name = "FILE", requires = "status")]
    pub(crate) status_token_file: Option<PathBuf>,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub(crate) struct StatusConfig {
    pub(crate) address: String,
    pub(crate) token: Option<Token>,
}

impl StatusArgs {
    pub(crate) fn check(self) -> Result<Option<StatusConfig>, Failure> {
        let Some(address) = self.status else {
            return Ok(None);
        };
        Ok(Some(StatusConfig {
            address: parse_address("--status", &address)?,
            token: self
                .status_token_file
                .map(|file| read_token(&file))
                .transpose()?,
        }))
    }
}
