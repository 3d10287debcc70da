//! `grid call`: one single request, and its answer.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use clap::Args;

use crate::{
    credentials::Environment,
    failure::Failure,
    form::{Form, FormArgs},
    output,
    reach::{Reach, ReachArgs},
    target::{Target, TargetArgs},
    values::parse_duration,
};

/// The deadline where none is given: that of every request of a grid.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  grid call 9 hello --to http://10.0.0.2:9000 --via unix:/run/grid.sock
  grid call 41 'msgpack:{\"a\": \"b\"}' --to http://10.0.0.2:9000 --local http://10.0.0.9:9000 \\
      --peers http://10.0.0.1:9000,http://10.0.0.2:9000,http://10.0.0.9:9000 --token-file /run/token

Exit codes: 0 answered, 1 the remote said no (its text stands on stderr after 'remote: ') or the
call failed, 2 wrong usage, 3 not connected and so not sent, 4 no answer before the deadline.")]
pub(crate) struct CallArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// How long to wait for the answer, as in 500ms or 10s [default: 60s].
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    timeout: Option<String>,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// A call that can be made.
#[derive(Debug)]
pub(crate) struct Call {
    target: Target,
    timeout: Duration,
    form: Form,
    reach: Reach,
}

impl CallArgs {
    pub(crate) fn check(self, environment: Environment) -> Result<Call, Failure> {
        let timeout = match &self.timeout {
            Some(text) => parse_duration("--timeout", text)?,
            None => TIMEOUT,
        };
        Ok(Call {
            timeout,
            form: self.form.form(),
            reach: self.reach.check(environment)?,
            target: self.target.read()?,
        })
    }
}

/// Makes the call and writes the answer.
pub(crate) async fn run(call: Call) -> Result<(), Failure> {
    let Call {
        target:
            Target {
                handler,
                payload,
                to,
                subroute,
            },
        timeout,
        form,
        reach,
    } = call;
    let answer = reach
        .run(&to, subroute.as_deref(), async |peer, signals| {
            let answer = async {
                let answer = peer.call(handler, payload, timeout).await;
                answer.map_err(|fault| fault.into_failure(&to, timeout))
            };
            signals.cut(answer).await
        })
        .await?;
    let bytes = answer.as_slice();
    if bytes.is_empty() && form == Form::Readable && io::stderr().is_terminal() {
        let what = if answer.is_absent() {
            "absent"
        } else {
            "empty"
        };
        // Nobody is left to tell where stderr is closed.
        let _ = writeln!(io::stderr(), "grid: the answer is {what}");
        return Ok(());
    }
    output::print(&form.write(bytes)?, "the answer is lost")
}
