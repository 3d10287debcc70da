//! Captures of packets: pcap and pcapng.

use bytes::{Buf, BytesMut};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, PcapError, PcapHeader, nom, parse_block_be, parse_block_le,
    parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::{Decoder, conversation::Conversations, packet, record::Place, report::Report};
use crate::failure::Failure;

/// A larger block is damage.
const LARGEST_BLOCK: usize = 16 << 20;

/// More interfaces than a machine has.
const MOST_INTERFACES: usize = 4096;

const NANOS: i128 = 1_000_000_000;

/// Reads a capture and follows the connections in it.
#[derive(Debug)]
pub(super) struct Capture {
    buffer: BytesMut,
    /// Where the buffer begins.
    at: u64,
    format: Format,
    /// When the first packet was seen.
    start: Option<i128>,
    conversations: Conversations,
    is_damaged: bool,
}

#[derive(Debug)]
enum Format {
    /// The header has not been read yet.
    New,
    Pcap(PcapHeader),
    Pcapng {
        is_big_endian: bool,
        interfaces: Vec<Interface>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: i32,
    /// Units of time in a second.
    resolution: u128,
    /// Seconds to be added.
    offset: i64,
}

/// What a block is to us.
enum Step<'a> {
    Header(PcapHeader),
    Section { is_big_endian: bool },
    Interface(Interface),
    Packet(Packet<'a>),
    Nothing,
}

/// A packet, as much of it as was captured.
struct Packet<'a> {
    link: i32,
    /// When it was seen; none where the capture doesn't tell.
    nanos: Option<i128>,
    data: &'a [u8],
    /// How many bytes were sent.
    len: u32,
}

impl Capture {
    /// A capture that begins so; none where none begins so.
    pub(super) fn new(begin: &[u8]) -> Option<Self> {
        let magic = u32::from_le_bytes(*begin.first_chunk()?);
        let swapped = magic.swap_bytes();
        let is_pcap = |magic| matches!(magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34);
        let format = if magic == 0x0a0d_0d0a {
            Format::Pcapng {
                is_big_endian: false,
                interfaces: Vec::new(),
            }
        } else if is_pcap(magic) || is_pcap(swapped) {
            Format::New
        } else {
            return None;
        };
        Some(Self {
            buffer: BytesMut::new(),
            at: 0,
            format,
            start: None,
            conversations: Conversations::new(),
            is_damaged: false,
        })
    }

    /// Takes a block; false where more bytes are needed.
    fn block(&mut self, report: &mut Report) -> Result<bool, Failure> {
        let (left, step) = match self.format.block(&self.buffer) {
            Ok(parsed) => parsed,
            Err(nom::Err::Incomplete(_)) if self.buffer.len() <= LARGEST_BLOCK => {
                return Ok(false);
            }
            Err(nom::Err::Incomplete(_)) => {
                return self.damaged("a packet of the capture is too large", report);
            }
            Err(_) => return self.damaged("the capture is damaged", report),
        };
        match (step, &mut self.format) {
            (Step::Packet(packet), _) => {
                // The first one says when the capture starts.
                let nanos = packet.nanos.or(self.start).unwrap_or_default();
                let start = *self.start.get_or_insert(nanos);
                let micros = i64::try_from((nanos - start) / 1000).unwrap_or(i64::MAX);
                if let Some(segment) = packet::parse(packet.link, packet.data, packet.len) {
                    self.conversations.packet(micros, &segment, report)?;
                }
            }
            (Step::Header(header), format) => *format = Format::Pcap(header),
            (
                Step::Section { is_big_endian: new },
                Format::Pcapng {
                    is_big_endian,
                    interfaces,
                },
            ) => {
                *is_big_endian = new;
                interfaces.clear();
            }
            (Step::Interface(interface), Format::Pcapng { interfaces, .. })
                if interfaces.len() < MOST_INTERFACES =>
            {
                interfaces.push(interface);
            }
            _ => {}
        }
        let taken = self.buffer.len().saturating_sub(left);
        self.buffer.advance(taken);
        self.at = self
            .at
            .saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        Ok(taken > 0)
    }

    /// Nobody knows where the next block begins.
    fn damaged(&mut self, reason: &str, report: &mut Report) -> Result<bool, Failure> {
        self.is_damaged = true;
        self.buffer.clear();
        self.conversations.end(report)?;
        let place = Place::Offset { offset: self.at };
        report.damage(place, false, format!("{reason}; the rest is not read"), 0)?;
        Ok(false)
    }
}

impl Decoder for Capture {
    fn push(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
        if self.is_damaged {
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        while !self.buffer.is_empty() && self.block(report)? {}
        Ok(())
    }

    fn end(&mut self, report: &mut Report) -> Result<(), Failure> {
        self.conversations.end(report)?;
        if !self.buffer.is_empty() {
            let place = Place::Offset { offset: self.at };
            report.damage(
                place,
                false,
                "the capture ends in the middle of a packet",
                0,
            )?;
        }
        report.note(self.conversations.note());
        Ok(())
    }
}

impl Format {
    /// What the block is that `bytes` begin with, and how many bytes are behind it.
    fn block<'a>(&self, bytes: &'a [u8]) -> Result<(usize, Step<'a>), nom::Err<()>> {
        let plain = |error: nom::Err<PcapError<&[u8]>>| error.map(|_| ());
        match self {
            Self::New => {
                let (rest, header) = parse_pcap_header(bytes).map_err(plain)?;
                Ok((rest.len(), Step::Header(header)))
            }
            Self::Pcap(header) => {
                let parse = match (header.is_modified_format(), header.is_bigendian()) {
                    (true, _) => parse_pcap_frame_modified,
                    (_, true) => parse_pcap_frame_be,
                    _ => parse_pcap_frame,
                };
                let (rest, packet) = parse(bytes).map_err(plain)?;
                let unit = if header.is_nanosecond_precision() {
                    1
                } else {
                    1000
                };
                let nanos = i128::from(packet.ts_sec) * NANOS + i128::from(packet.ts_usec) * unit;
                let packet = Packet {
                    link: header.network.0,
                    nanos: Some(nanos),
                    data: packet.data,
                    len: packet.origlen,
                };
                Ok((rest.len(), Step::Packet(packet)))
            }
            Self::Pcapng {
                is_big_endian,
                interfaces,
            } => {
                let parse = if *is_big_endian {
                    parse_block_be
                } else {
                    parse_block_le
                };
                let (rest, block) = parse(bytes).map_err(plain)?;
                Ok((rest.len(), step(&block, *is_big_endian, interfaces)))
            }
        }
    }
}

/// What a block of pcapng is to us.
fn step<'a>(block: &Block<'a>, is_big_endian: bool, interfaces: &[Interface]) -> Step<'a> {
    let data = |data: &'a [u8], len: u32| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        data.get(..len).unwrap_or(data)
    };
    match block {
        Block::SectionHeader(section) => Step::Section {
            is_big_endian: section.big_endian(),
        },
        Block::InterfaceDescription(interface) => {
            Step::Interface(Interface::of(interface, is_big_endian))
        }
        Block::EnhancedPacket(packet) => {
            let index = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
            interfaces.get(index).map_or(Step::Nothing, |interface| {
                Step::Packet(Packet {
                    link: interface.link,
                    nanos: Some(interface.nanos(packet.ts_high, packet.ts_low)),
                    data: data(packet.data, packet.caplen),
                    len: packet.origlen,
                })
            })
        }
        Block::SimplePacket(packet) => interfaces.first().map_or(Step::Nothing, |interface| {
            Step::Packet(Packet {
                link: interface.link,
                nanos: None,
                data: data(packet.data, packet.origlen),
                len: packet.origlen,
            })
        }),
        _ => Step::Nothing,
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>, is_big_endian: bool) -> Self {
        let exponent = u32::from(block.if_tsresol & 0x7f);
        let resolution = if block.if_tsresol & 0x80 == 0 {
            10_u128.checked_pow(exponent)
        } else {
            2_u128.checked_pow(exponent)
        };
        Self {
            link: block.linktype.0,
            resolution: resolution.unwrap_or(1_000_000),
            // The parser takes it for little endian always.
            offset: if is_big_endian {
                block.if_tsoffset.swap_bytes()
            } else {
                block.if_tsoffset
            },
        }
    }

    fn nanos(&self, high: u32, low: u32) -> i128 {
        let units = u128::from(high) << 32 | u128::from(low);
        let whole = i128::try_from(units / self.resolution).unwrap_or_default();
        let part = (units % self.resolution)
            .checked_mul(1_000_000_000)
            .map(|nanos| nanos / self.resolution);
        let part = part
            .and_then(|part| i128::try_from(part).ok())
            .unwrap_or_default();
        (whole + i128::from(self.offset)) * NANOS + part
    }
}
