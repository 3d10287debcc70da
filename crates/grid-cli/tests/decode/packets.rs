//! Captures that are made up.

use etherparse::{PacketBuilder, VlanId};

use crate::recording::Way;

/// Layers below TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    Ethernet,
    Vlan,
    EthernetIpv6,
    Raw,
    Cooked,
    Cooked2,
    Null,
}

impl Link {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ethernet,
        Self::Vlan,
        Self::EthernetIpv6,
        Self::Raw,
        Self::Cooked,
        Self::Cooked2,
        Self::Null,
    ];

    fn number(self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan | Self::EthernetIpv6 => 1,
            Self::Raw => 101,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Null => 0,
        }
    }
}

/// One TCP segment.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) way: Way,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// How much of the sequence it takes.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap() + u32::from(self.syn) + u32::from(self.fin)
    }

    fn build(&self, link: Link) -> Vec<u8> {
        let (from, to) = match self.way {
            Way::ToServer => (1_u8, 2_u8),
            Way::ToClient => (2, 1),
        };
        let ethernet = || PacketBuilder::ethernet2([from; 6], [to; 6]);
        let ip = ([10, 0, 0, from], [10, 0, 0, to]);
        let ip6 = |last: u8| {
            let mut address = [0; 16];
            address[0] = 0xfd;
            address[15] = last;
            address
        };
        let port = |end: u8| if end == 1 { 40_000 } else { 9000 };
        let mut out = Vec::new();
        let step = match link {
            Link::Ethernet => ethernet().ipv4(ip.0, ip.1, 64),
            Link::Vlan => ethernet()
                .single_vlan(VlanId::try_new(7).unwrap())
                .ipv4(ip.0, ip.1, 64),
            Link::EthernetIpv6 => ethernet().ipv6(ip6(from), ip6(to), 64),
            Link::Raw | Link::Cooked | Link::Cooked2 | Link::Null => {
                PacketBuilder::ipv4(ip.0, ip.1, 64)
            }
        };
        match link {
            Link::Cooked => {
                out.extend_from_slice(&[0; 14]);
                out.extend_from_slice(&[8, 0]);
            }
            Link::Cooked2 => {
                out.extend_from_slice(&[8, 0]);
                out.extend_from_slice(&[0; 18]);
            }
            Link::Null => out.extend_from_slice(&[2, 0, 0, 0]),
            _ => {}
        }
        let mut tcp = step.tcp(port(from), port(to), self.seq, 1000);
        if self.syn {
            tcp = tcp.syn();
        }
        if self.fin {
            tcp = tcp.fin();
        }
        if self.ack > 0 {
            tcp = tcp.ack(self.ack);
        }
        tcp.write(&mut out, &self.bytes).unwrap();
        if link.number() == 1 && out.len() < 60 {
            // No frame of ethernet is shorter; what fills it up means nothing.
            out.resize(60, 0x82);
        }
        out
    }
}

/// Numbers each way's pieces and acknowledges what came the other way; after a handshake.
pub(crate) fn connection(pieces: &[(Way, Vec<u8>)], isn: u32) -> Vec<Packet> {
    let syn = |way, seq, ack| Packet {
        way,
        seq,
        ack,
        syn: true,
        fin: false,
        bytes: Vec::new(),
    };
    let other = isn.wrapping_add(77);
    let mut packets = vec![
        syn(Way::ToServer, isn, 0),
        syn(Way::ToClient, other, isn.wrapping_add(1)),
    ];
    let mut next = [isn.wrapping_add(1), other.wrapping_add(1)];
    for (way, bytes) in pieces {
        let (here, there) = match way {
            Way::ToServer => (0, 1),
            Way::ToClient => (1, 0),
        };
        packets.push(Packet {
            way: *way,
            seq: next[here],
            ack: next[there],
            syn: false,
            fin: false,
            bytes: bytes.clone(),
        });
        next[here] = next[here].wrapping_add(u32::try_from(bytes.len()).unwrap());
    }
    packets
}

/// The packets as a pcap file, a millisecond apart; of each at most `snap` bytes.
pub(crate) fn pcap(packets: &[Packet], link: Link, snap: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x4_0000, link.number()] {
        file.extend_from_slice(&u32::to_le_bytes(word));
    }
    for (index, packet) in packets.iter().enumerate() {
        let bytes = packet.build(link);
        let (time, len) = (u32::try_from(index).unwrap() * 1000, bytes.len());
        let kept = &bytes[..len.min(snap)];
        let (seconds, micros) = (1_700_000_000 + time / 1_000_000, time % 1_000_000);
        for word in [
            seconds,
            micros,
            kept.len().try_into().unwrap(),
            len.try_into().unwrap(),
        ] {
            file.extend_from_slice(&u32::to_le_bytes(word));
        }
        file.extend_from_slice(kept);
    }
    file
}

/// The packets as a pcapng file of either byte order, with a clock of nanoseconds.
pub(crate) fn pcapng(packets: &[Packet], link: Link, is_big: bool) -> Vec<u8> {
    let word = |value: u32| {
        if is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let half = |value: u16| {
        if is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padding = body.len().next_multiple_of(4) - body.len();
        let len = word(u32::try_from(12 + body.len() + padding).unwrap());
        file.extend_from_slice(&word(kind));
        file.extend_from_slice(&len);
        file.extend_from_slice(body);
        file.extend_from_slice(&[0; 4][..padding]);
        file.extend_from_slice(&len);
    };
    let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &section);
    let number = u16::try_from(link.number()).unwrap();
    let resolution = [&half(9)[..], &half(1), &[9, 0, 0, 0], &half(0), &half(0)].concat();
    let interface = [&half(number)[..], &half(0), &word(0), &resolution].concat();
    block(1, &interface);
    for (index, packet) in packets.iter().enumerate() {
        let bytes = packet.build(link);
        let nanos = 1_700_000_000_000_000_000 + u64::try_from(index).unwrap() * 1_000_000;
        let len = u32::try_from(bytes.len()).unwrap();
        let high = u32::try_from(nanos >> 32).unwrap();
        let low = u32::try_from(nanos & 0xffff_ffff).unwrap();
        let mut body = Vec::new();
        for value in [0, high, low, len, len] {
            body.extend_from_slice(&word(value));
        }
        body.extend_from_slice(&bytes);
        block(6, &body);
    }
    file
}
