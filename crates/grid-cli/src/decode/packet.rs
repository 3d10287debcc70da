//! TCP segments in captured packets.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6ExtensionsSlice, Ipv6HeaderSlice, TcpHeaderSlice};

/// A TCP segment, as much of it as was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
    /// How many bytes were sent; more than the payload has, where the capture cut it.
    pub(super) len: usize,
}

/// An IP packet's addresses and content.
struct Ip<'a> {
    from: IpAddr,
    to: IpAddr,
    content: &'a [u8],
    /// How many bytes were sent.
    len: usize,
}

/// The segment in a packet of this link type, of which `len` bytes were sent; none where there is
/// none.
pub(super) fn parse(link: i32, data: &[u8], len: u32) -> Option<Segment<'_>> {
    let packet = behind_link(link, data)?;
    let sent = usize::try_from(len).ok()?.max(data.len()) - (data.len() - packet.len());
    let ip = match packet.first()? >> 4 {
        4 => ipv4(packet, sent)?,
        6 => ipv6(packet, sent)?,
        _ => return None,
    };
    let tcp = TcpHeaderSlice::from_slice(ip.content).ok()?;
    let header = tcp.slice().len();
    Some(Segment {
        from: SocketAddr::new(ip.from, tcp.source_port()),
        to: SocketAddr::new(ip.to, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: ip.content.get(header..)?,
        len: ip.len.checked_sub(header)?,
    })
}

/// The IP packet behind the header of its link.
fn behind_link(link: i32, data: &[u8]) -> Option<&[u8]> {
    match link {
        // Ethernet
        1 => behind_type(data.get(12..)?),
        // BSD loopback, of either byte order
        0 | 108 => data.get(4..),
        // raw IP, as it is numbered on several systems
        12 | 14 | 101 | 228 | 229 => Some(data),
        // Linux cooked
        113 => behind_type(data.get(14..)?),
        // Linux cooked, version 2
        276 => {
            let (kind, rest) = data.split_first_chunk::<2>()?;
            behind_kind(u16::from_be_bytes(*kind), rest.get(18..)?)
        }
        _ => None,
    }
}

/// What a type of ethernet says that it is.
fn behind_type(bytes: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = bytes.split_first_chunk()?;
    behind_kind(u16::from_be_bytes(*kind), rest)
}

fn behind_kind(kind: u16, rest: &[u8]) -> Option<&[u8]> {
    match kind {
        0x0800 | 0x86dd => Some(rest),
        // VLAN tags, which may stand one behind the other
        0x8100 | 0x88a8 | 0x9100 => behind_type(rest.get(2..)?),
        _ => None,
    }
}

fn ipv4(packet: &[u8], sent: usize) -> Option<Ip<'_>> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let len = header.slice().len();
    if header.protocol() != IpNumber::TCP || header.fragments_offset().value() != 0 {
        return None;
    }
    // A packet that the network card cuts into smaller ones has no length.
    let total = match usize::from(header.total_len()) {
        0 => sent,
        total => total,
    };
    Some(Ip {
        from: header.source_addr().into(),
        to: header.destination_addr().into(),
        content: packet.get(len..total.min(packet.len()))?,
        len: total.checked_sub(len)?,
    })
}

fn ipv6(packet: &[u8], sent: usize) -> Option<Ip<'_>> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let len = header.slice().len();
    let total = match usize::from(header.payload_length()) {
        0 => sent.checked_sub(len)?,
        total => total,
    };
    let inside = packet.get(len..total.saturating_add(len).min(packet.len()))?;
    let (extensions, protocol, content) =
        Ipv6ExtensionsSlice::from_slice(header.next_header(), inside).ok()?;
    if protocol != IpNumber::TCP || extensions.is_fragmenting_payload() {
        return None;
    }
    Some(Ip {
        from: header.source_addr().into(),
        to: header.destination_addr().into(),
        content,
        len: total.checked_sub(extensions.slice().len())?,
    })
}
