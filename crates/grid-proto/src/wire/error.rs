//! What is wrong with a message, and where.

use std::fmt;

/// Why bytes are no message, or no structure.
///
/// Each variant blames the sender. Offsets count bytes from the start of what was to be decoded: for an inner message of
/// a merged one, from the start of the whole websocket message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the field does.
    #[error("{field} at byte {offset} is cut short")]
    Truncated {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
    },
    /// The field holds a value of another type.
    #[error("{field} at byte {offset} is {found}, not {wanted}")]
    WrongType {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
        /// The type of the value there.
        found: Kind,
        /// The type that belongs there.
        wanted: Kind,
    },
    /// The field holds a number that is negative or too large for it.
    #[error("{field} at byte {offset} is out of range")]
    OutOfRange {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
    },
    /// The field has another length than the one it must have.
    #[error("{field} at byte {offset} has length {found}, not {wanted}")]
    WrongLength {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
        /// Its length.
        found: u32,
        /// The length it must have.
        wanted: u32,
    },
    /// The field is an extension of a type that is no time.
    #[error("{field} at byte {offset} is extension type {found}, not a time")]
    WrongExtension {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
        /// The extension type.
        found: i8,
    },
    /// The field has the form of a time, but not its length or its range.
    #[error("{field} at byte {offset} is not a valid time")]
    InvalidTime {
        /// What was being read.
        field: Field,
        /// Where it begins.
        offset: usize,
    },
    /// A flag promises a trailer for which there are not enough bytes.
    #[error("{field} at byte {offset} is missing: {found} of {wanted} bytes are there")]
    MissingTrailer {
        /// The trailer.
        field: Field,
        /// Where the bytes for it begin.
        offset: usize,
        /// How many bytes there are.
        found: u32,
        /// How many bytes it takes.
        wanted: u32,
    },
    /// The checksum differs from that of the bytes.
    #[error("wrong checksum at byte {offset}: given {given:08x}, computed {computed:08x}")]
    WrongChecksum {
        /// Where the checksum begins.
        offset: usize,
        /// The checksum that was sent.
        given: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
}

const _: () = assert!(size_of::<DecodeError>() <= 32);

impl DecodeError {
    /// What was being read.
    #[must_use]
    pub const fn field(&self) -> Field {
        match self {
            Self::Truncated { field, .. }
            | Self::WrongType { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::WrongLength { field, .. }
            | Self::WrongExtension { field, .. }
            | Self::InvalidTime { field, .. }
            | Self::MissingTrailer { field, .. } => *field,
            Self::WrongChecksum { .. } => Field::Checksum,
        }
    }

    /// Where it begins, in bytes.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset, .. }
            | Self::WrongType { offset, .. }
            | Self::OutOfRange { offset, .. }
            | Self::WrongLength { offset, .. }
            | Self::WrongExtension { offset, .. }
            | Self::InvalidTime { offset, .. }
            | Self::MissingTrailer { offset, .. }
            | Self::WrongChecksum { offset, .. } => *offset,
        }
    }

    /// The same error, seen from `base` bytes further out.
    pub(crate) fn inside(mut self, base: usize) -> Self {
        let (Self::Truncated { offset, .. }
        | Self::WrongType { offset, .. }
        | Self::OutOfRange { offset, .. }
        | Self::WrongLength { offset, .. }
        | Self::WrongExtension { offset, .. }
        | Self::InvalidTime { offset, .. }
        | Self::MissingTrailer { offset, .. }
        | Self::WrongChecksum { offset, .. }) = &mut self;
        *offset = offset.saturating_add(base);
        self
    }
}

/// A part of a message or structure, as an error names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Field {
    /// The array of 7 that is the envelope.
    Envelope,
    /// `mux_id` of the envelope.
    MuxId,
    /// `seq` of the envelope.
    Seq,
    /// `deadline_ms` of the envelope.
    DeadlineMs,
    /// `handler` of the envelope.
    Handler,
    /// `op` of the envelope.
    Op,
    /// `flags` of the envelope.
    Flags,
    /// `payload` of the envelope.
    Payload,
    /// The subroute id behind the envelope.
    Subroute,
    /// The checksum at the end.
    Checksum,
    /// The bin that holds one message of a merged one.
    MergedPart,
    /// The map that is a structure.
    Structure,
    /// A key of a structure.
    Key,
    /// A value under a key that isn't known.
    Unknown,
    /// `ID` of a connect request or response.
    Id,
    /// `Host` of a connect request.
    Host,
    /// `Time` of a connect request, `t` of a ping or pong.
    Time,
    /// `Token` of a connect request.
    Token,
    /// `X` of a connect request or response.
    Extra,
    /// `Accepted` of a connect response.
    Accepted,
    /// `RejectedReason` of a connect response.
    RejectedReason,
    /// `Error` of a mux connect error, `e` of a pong.
    Error,
    /// `nf` of a pong.
    NotFound,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope => "envelope",
            Self::MuxId => "mux id",
            Self::Seq => "sequence number",
            Self::DeadlineMs => "deadline",
            Self::Handler => "handler id",
            Self::Op => "op",
            Self::Flags => "flags",
            Self::Payload => "payload",
            Self::Subroute => "subroute id",
            Self::Checksum => "checksum",
            Self::MergedPart => "merged message",
            Self::Structure => "structure",
            Self::Key => "key",
            Self::Unknown => "unknown value",
            Self::Id => "instance id",
            Self::Host => "host",
            Self::Time => "time",
            Self::Token => "token",
            Self::Extra => "extra",
            Self::Accepted => "accepted",
            Self::RejectedReason => "rejected reason",
            Self::Error => "error text",
            Self::NotFound => "not found",
        })
    }
}

/// A type of msgpack value, as an error names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Nil.
    Nil,
    /// True or false.
    Bool,
    /// An integer, of whatever width and sign.
    Integer,
    /// A number with a fraction.
    Float,
    /// Text.
    Str,
    /// Bytes.
    Bin,
    /// An array.
    Array,
    /// A map.
    Map,
    /// An extension.
    Ext,
    /// The one byte that begins no value.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nil => "nil",
            Self::Bool => "a bool",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Str => "a str",
            Self::Bin => "a bin",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Ext => "an extension",
            Self::Reserved => "a reserved byte",
        })
    }
}

impl From<rmp::Marker> for Kind {
    fn from(marker: rmp::Marker) -> Self {
        use rmp::Marker as M;
        match marker {
            M::Null => Self::Nil,
            M::True | M::False => Self::Bool,
            M::FixPos(_) | M::FixNeg(_) => Self::Integer,
            M::U8 | M::U16 | M::U32 | M::U64 | M::I8 | M::I16 | M::I32 | M::I64 => Self::Integer,
            M::F32 | M::F64 => Self::Float,
            M::FixStr(_) | M::Str8 | M::Str16 | M::Str32 => Self::Str,
            M::Bin8 | M::Bin16 | M::Bin32 => Self::Bin,
            M::FixArray(_) | M::Array16 | M::Array32 => Self::Array,
            M::FixMap(_) | M::Map16 | M::Map32 => Self::Map,
            M::FixExt1 | M::FixExt2 | M::FixExt4 | M::FixExt8 | M::FixExt16 => Self::Ext,
            M::Ext8 | M::Ext16 | M::Ext32 => Self::Ext,
            M::Reserved => Self::Reserved,
        }
    }
}
