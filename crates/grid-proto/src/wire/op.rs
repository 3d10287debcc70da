//! What a message is for.

use std::fmt;

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a message is for (protocol section 3).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Op {
            $($(#[$doc])* $name,)*
            /// An op that this version doesn't know. Readers ignore the message.
            Unknown(u8),
        }

        impl Op {
            /// Every op that has a name, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The op of this number.
            #[must_use]
            pub const fn from_u8(number: u8) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn as_u8(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The name, where the op has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    Self::Unknown(_) => None,
                }
            }
        }
    };
}

ops! {
    /// Opens a connection: dialer to acceptor.
    Connect = 1,
    /// The acceptor's answer to `Connect`.
    ConnectResponse = 2,
    /// Asks for a sign of life: of the connection on mux 0, of a stream by its caller.
    Ping = 3,
    /// The answer to `Ping`.
    Pong = 4,
    /// Opens a stream.
    ConnectMux = 5,
    /// A request or stream can't be served.
    MuxConnectError = 6,
    /// Ends a mux on its caller's side.
    DisconnectClientMux = 7,
    /// Ends a mux on its handler's side.
    DisconnectServerMux = 8,
    /// A stream item from caller to handler.
    MuxClientMsg = 9,
    /// A stream item from handler to caller.
    MuxServerMsg = 10,
    /// Gives the handler's side one credit, or as many as its deadline says (protocol section 10).
    UnblockSrvMux = 11,
    /// Gives the caller's side one credit, or as many as its deadline says (protocol section 10).
    UnblockClMux = 12,
    /// A stream is open.
    AckMux = 13,
    /// A single request.
    Request = 14,
    /// The answer to `Request`.
    Response = 15,
    /// Reserved; nodes ignore it.
    Disconnect = 16,
    /// Several messages in one (protocol section 4).
    Merged = 17,
}

/// Op 0, which nobody knows.
impl Default for Op {
    fn default() -> Self {
        Self::Unknown(0)
    }
}

/// The name; `Op(N)` for an op that has none.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Op({})", self.as_u8()),
        }
    }
}
