//! Somebody who is no peer, or lies about it, comes to an acceptor.

use grid_proto::{
    InstanceId,
    conn::handshake::{self, First},
    wire::{ConnectRejection, ConnectRequest, Text},
};

use crate::{
    connect::{TOKEN, checks},
    history::Lie,
    node::Phase,
    world::{Outcome, World},
};

impl World {
    /// Somebody who lies connects beside the peer that is there: turned away with the reason, and nobody is hurt.
    pub(crate) fn stranger(&mut self, link: usize, lie: Lie) -> Outcome<bool> {
        let acceptor = 2 * link + usize::from(self.ends[2 * link].dials);
        let (node, dialer) = (self.ends[acceptor].node, self.ends[acceptor ^ 1].node);
        let mut request = ConnectRequest {
            id: InstanceId::new([9; 16]),
            host: Text::from(self.nodes[dialer].name.clone()),
            time: self.wall_clock(node),
            token: TOKEN.into(),
            extra: None,
        };
        let (mut local, mut peer) = (
            self.nodes[node].name.clone(),
            self.nodes[dialer].name.clone(),
        );
        match lie {
            Lie::Host => request.host = "http://nobody:9000".into(),
            Lie::Token => request.token = "a guess".into(),
            Lie::Clock => request.time.secs -= 301,
            Lie::Side => {
                std::mem::swap(&mut local, &mut peer);
                request.host = Text::from(peer.clone());
            }
            Lie::Op | Lie::Garbage | Lie::Text => {}
        }
        let frame = match lie {
            Lie::Op => handshake::accept(request.id, None),
            Lie::Garbage => vec![0x97, 1, 2, 3],
            _ => handshake::connect(&request),
        };
        let first = match lie {
            Lie::Text => First::Text(frame.into()),
            _ => First::Binary(frame.into()),
        };
        let verdict = checks(&local, self.wall_clock(node), first, &peer);
        let right = matches!(
            (lie, &verdict),
            (Lie::Host, Err(ConnectRejection::UnknownHost(_)))
                | (Lie::Token, Err(ConnectRejection::Token(_)))
                | (Lie::Clock, Err(ConnectRejection::ClockSkew(_)))
                | (Lie::Side, Err(ConnectRejection::WrongSide))
                | (Lie::Op, Err(ConnectRejection::UnexpectedOp(_)))
                | (Lie::Garbage, Err(ConnectRejection::InvalidMessage(_)))
                | (Lie::Text, Err(ConnectRejection::Unreadable(_)))
        );
        if !right {
            return Err(format!(
                "a stranger that lies about its {lie:?} hears {verdict:?}"
            ));
        }
        let phase = self.ends[acceptor].phase;
        self.seen.saw(if phase == Phase::Up {
            "strangers"
        } else {
            "strangers first"
        });
        Ok(true)
    }
}
