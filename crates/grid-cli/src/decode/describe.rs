//! Bytes of one message as lines: the message, and those inside it.

use grid_proto::wire::{ChecksumState, Flags, Inspection, Op};
use grid_proto::{HandlerId, SubrouteId};

use super::{
    payload,
    record::{MessageRecord, Place, What},
    report::{Options, Report},
};
use crate::failure::Failure;

/// Reports the message that `bytes` are; `lost` bytes of its end are known to be missing.
pub(super) fn message(
    place: Place,
    bytes: &[u8],
    lost: u64,
    report: &mut Report,
) -> Result<(), Failure> {
    match Inspection::of(bytes) {
        Ok(mut seen) => {
            if lost > 0 {
                without_end(&mut seen);
            }
            inspected(place, &seen, lost > 0, report)?;
            if lost == 0 {
                return Ok(());
            }
        }
        Err(error) if lost == 0 => {
            let (reason, len) = (format!("no message: {error}"), bytes.len());
            return report.damage(place, false, reason, u64::try_from(len).unwrap_or(u64::MAX));
        }
        Err(_) => {}
    }
    let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let whole = here.saturating_add(lost);
    let reason = format!("the message is cut after {here} of its {whole} bytes");
    report.damage(place, false, reason, 0)
}

/// Reports a message that was inspected, and those inside it; those that are damaged are counted,
/// unless the caller does that.
pub(super) fn inspected(
    place: Place,
    seen: &Inspection<'_>,
    is_counted: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let is_merged = seen.frame.op == Op::Merged;
    let record = record(seen, report.options());
    // A merged message is as many as are in it.
    let is_container = is_merged && seen.is_intact();
    if !is_counted && !is_container {
        report.count(is_readable(seen, &record));
    }
    report.line(place, false, What::Message(Box::new(record)))?;
    for part in seen.parts() {
        let (at, part) = match part {
            Ok(part) => part,
            Err(_) if is_counted => break,
            Err(error) => {
                report.damage(place, true, error.to_string(), 0)?;
                break;
            }
        };
        match Inspection::of(part) {
            Ok(inner) => {
                let record = self::record(&inner, report.options());
                report.count(is_readable(&inner, &record));
                report.line(place, true, What::Message(Box::new(record)))?;
            }
            Err(error) => {
                let reason = format!("no message at byte {at}: {error}");
                report.damage(
                    place,
                    true,
                    reason,
                    u64::try_from(part.len()).unwrap_or(u64::MAX),
                )?;
            }
        }
    }
    Ok(())
}

fn is_readable(seen: &Inspection<'_>, record: &MessageRecord) -> bool {
    seen.is_intact() && record.payload.structure_error.is_none()
}

/// The trailers of a message stand at its end, so without that there are none.
fn without_end(seen: &mut Inspection<'_>) {
    seen.frame.subroute = None;
    if seen.frame.flags.contains(Flags::CRC) {
        seen.checksum = ChecksumState::Missing;
    }
}

/// The fields of a message, as they are shown.
fn record(seen: &Inspection<'_>, options: &Options) -> MessageRecord {
    let frame = &seen.frame;
    let (checksum, sums) = match seen.checksum {
        ChecksumState::Absent => ("none", None),
        ChecksumState::Right => ("right", None),
        ChecksumState::Wrong { given, computed } => ("wrong", Some((given, computed))),
        ChecksumState::Missing => ("missing", None),
    };
    let is_merged = frame.op == Op::Merged;
    MessageRecord {
        op: frame.op.to_string(),
        op_number: frame.op.as_u8(),
        mux: frame.mux.get(),
        seq: frame.seq,
        flags: frame.flags.to_string(),
        flag_bits: frame.flags.bits(),
        deadline_ms: frame.deadline_ms,
        handler: frame.handler.get(),
        subroute: frame.subroute.map(|id| id.to_string()),
        route: frame
            .subroute
            .and_then(|id| route(id, frame.handler, &options.routes)),
        checksum,
        checksum_given: sums.map(|(given, _)| format!("{given:08x}")),
        checksum_computed: sums.map(|(_, computed)| format!("{computed:08x}")),
        messages: is_merged.then_some(frame.seq),
        stray_bytes: (!is_merged && !seen.rest.is_empty()).then_some(seen.rest.len()),
        missing: seen.missing.map(|error| error.to_string()),
        payload: payload::of(frame, options),
    }
}

/// The text among `routes` that has this id.
fn route(id: SubrouteId, handler: HandlerId, routes: &[String]) -> Option<String> {
    routes
        .iter()
        .find(|route| SubrouteId::new(id.handler(), route) == id && id.handler() == handler)
        .cloned()
}
