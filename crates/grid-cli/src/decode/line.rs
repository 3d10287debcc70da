//! A record as one line of text.

use std::fmt::{self, Display, Formatter};

use super::record::{
    ControlRecord, DamageRecord, HttpRecord, MessageRecord, PayloadRecord, Place, Record,
    Structure, What, time,
};
use crate::unruly::tame;

/// The line as text or as JSON, its end included.
///
/// What a terminal obeys, or shows in another order than it stands there, is written out.
pub(super) fn of(record: &Record, json: bool) -> String {
    let line = if json {
        // A record has nothing that JSON lacks; if it had, the line would be empty.
        serde_json::to_string(record).unwrap_or_default()
    } else {
        record.to_string()
    };
    let mut tame = tame(&line);
    tame.push('\n');
    tame
}

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Offset { offset } => write!(f, "{offset:>7} ")?,
            Place::Line { line } => write!(f, "{line:>7} ")?,
            Place::Packet {
                time: at, src, dst, ..
            } => write!(f, "{} {src} > {dst} ", time(at))?,
        }
        if self.inside {
            f.write_str("  ")?;
        }
        match &self.what {
            What::Message(message) => message.fmt(f),
            What::Http(head) => head.fmt(f),
            What::Text(payload) => write!(f, "ws-text{payload}"),
            What::Control(control) => control.fmt(f),
            What::Damage(damage) => {
                f.write_str("damage ")?;
                if let Place::Packet { offset, .. } = self.place {
                    write!(f, "offset={offset} ")?;
                }
                damage.fmt(f)
            }
        }
    }
}

impl Display for MessageRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mux={} seq={} flags={} {} handler={}",
            self.op,
            self.mux,
            self.seq,
            self.flags,
            deadline(self),
            self.handler
        )?;
        match (&self.route, &self.subroute) {
            (Some(route), _) => write!(f, " route={}", crate::show::quoted(route))?,
            (None, Some(id)) => write!(f, " subroute={id}")?,
            (None, None) => {}
        }
        let checksum = match self.checksum {
            "right" => "ok",
            other => other,
        };
        write!(f, " crc={checksum}")?;
        if let (Some(given), Some(computed)) = (&self.checksum_given, &self.checksum_computed) {
            write!(f, " given={given} computed={computed}")?;
        }
        if let Some(count) = self.messages {
            write!(f, " messages={count}")?;
        }
        if let Some(count) = self.stray_bytes {
            write!(f, " stray={count}")?;
        }
        self.payload.fmt(f)?;
        match &self.missing {
            Some(missing) => write!(f, " ({missing})"),
            None => Ok(()),
        }
    }
}

/// Each part after a space.
impl Display for PayloadRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(structure) = &self.structure {
            structure.fmt(f)?;
            return Ok(());
        }
        match (self.payload_len, &self.payload) {
            (None, _) => f.write_str(" payload=absent")?,
            (Some(0), _) => f.write_str(" payload=empty")?,
            (Some(len), Some(payload)) => write!(f, " payload={payload} ({})", bytes(len))?,
            (Some(len), None) => write!(
                f,
                " payload=({}, may hold a secret: --secrets shows it)",
                bytes(len)
            )?,
        }
        match &self.structure_error {
            Some(error) => write!(f, " (not readable: {error})"),
            None => Ok(()),
        }
    }
}

/// Each part after a space.
impl Display for Structure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Self::Connect {
                host,
                time: at,
                id,
                token_len,
                token,
                extra,
            } => {
                write!(f, " host={} time={} id={id}", host.quoted, time(at))?;
                match token {
                    Some(token) => write!(f, " token={}", token.quoted)?,
                    None => write!(f, " token=({})", bytes(*token_len))?,
                }
                optional(f, "extra", extra.as_deref())
            }
            Self::ConnectResponse {
                accepted,
                reason,
                id,
                extra,
            } => {
                write!(f, " accepted={accepted}")?;
                if !accepted || !reason.text.is_empty() {
                    write!(f, " reason={}", reason.quoted)?;
                }
                write!(f, " id={id}")?;
                optional(f, "extra", extra.as_deref())
            }
            Self::Ping { time: at } => write!(f, " time={}", time(at)),
            Self::Pong {
                time: at,
                not_found,
                error,
            } => {
                write!(f, " time={} not_found={not_found}", time(at))?;
                optional(
                    f,
                    "error",
                    error.as_ref().map(|error| error.quoted.as_str()),
                )
            }
            Self::Error(text) => write!(f, " error={}", text.quoted),
        }
    }
}

impl Display for HttpRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "http {}", self.start)?;
        for header in &self.headers {
            match &header.value {
                Some(value) => write!(f, " {}={}", header.name, value.quoted)?,
                None => write!(f, " {}=({})", header.name, bytes(header.value_len))?,
            }
        }
        Ok(())
    }
}

impl Display for ControlRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.frame)?;
        if let Some(code) = self.code {
            write!(f, " code={code}")?;
        }
        self.payload.fmt(f)
    }
}

impl Display for DamageRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match self.skipped {
            0 => Ok(()),
            1 => f.write_str("; 1 byte skipped"),
            many => write!(f, "; {many} bytes skipped"),
        }
    }
}

fn optional(f: &mut Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {key}={value}"),
        None => Ok(()),
    }
}

/// So many bytes, in words.
pub(super) fn bytes(len: usize) -> String {
    match len {
        1 => "1 byte".to_owned(),
        many => format!("{many} bytes"),
    }
}

/// What stands where a call has its deadline: the credits that are counted between nodes of ours, too.
fn deadline(message: &MessageRecord) -> String {
    let returns = matches!(&*message.op, "UnblockSrvMux" | "UnblockClMux");
    match message.deadline_ms {
        0 => "deadline=none".to_owned(),
        count if returns => format!("credits={count}"),
        ms if ms % 1000 == 0 => format!("deadline={}s", ms / 1000),
        ms => format!("deadline={ms}ms"),
    }
}
