//! What else is to know about a message.

use std::fmt;

bitflags::bitflags! {
    /// The flags of a message (protocol section 3). Bits without a name are kept as they are.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct Flags: u8 {
        /// A checksum follows.
        const CRC = 0x01;
        /// The sender sends no more stream messages on this mux.
        const EOF = 0x02;
        /// Reserved: a stream that asks for it is refused.
        const STATELESS = 0x04;
        /// The payload is an error text.
        const PAYLOAD_IS_ERR = 0x08;
        /// The payload is present and empty. Beside a payload of 1 byte or more it means nothing.
        const PAYLOAD_IS_ZERO = 0x10;
        /// A subroute id follows.
        const SUBROUTE = 0x20;

        const _ = !0;
    }
}

/// The names that are set, as in `CRC|EOF`, and the bits without a name as a number; `-` where none is set.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits() == 0 {
            return f.write_str("-");
        }
        let mut names = self.iter_names();
        let mut separator = "";
        for (name, _) in names.by_ref() {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        match names.remaining().bits() {
            0 => Ok(()),
            unnamed => write!(f, "{separator}{unnamed:#04x}"),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn shown_by_name() {
        assert_eq!(Flags::empty().to_string(), "-");
        assert_eq!(format!("{:?}", Flags::CRC | Flags::EOF), "CRC|EOF");
        assert_eq!(Flags::from_bits_retain(0xc1).to_string(), "CRC|0xc0");
        assert_eq!(Flags::from_bits_retain(0x40).to_string(), "0x40");
    }
}
