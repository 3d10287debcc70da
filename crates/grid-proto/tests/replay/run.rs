//! One replay, run: a recording, a role, and what came of it.

use std::{fmt, rc::Rc};

use grid_proto::wire::{Message, Op, Ping, Timestamp};

use super::{
    compare::Line,
    differences::{Change, DIFFERENCES},
    node::{Node, Saw, WALL_CLOCK},
    recording::Recording,
    script::{Replay, Role, Steps, When},
};

/// A replay that was run in one of its roles.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) replay: Replay,
    pub(crate) role: Role,
    pub(crate) recording: Rc<Recording>,
    pub(crate) outcome: Outcome,
}

/// What a replayed node did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<Line>,
    pub(crate) saw: Vec<Saw>,
    /// Whether nothing is open at the end, and what is.
    pub(crate) idle: bool,
    pub(crate) left: String,
}

impl Replay {
    pub(crate) fn recording(&self) -> Recording {
        Recording::read(self.file)
    }

    /// The scripts of both roles.
    pub(crate) fn roles(&self) -> [(Option<Steps>, Role); 2] {
        [(self.caller, Role::Caller), (self.handler, Role::Handler)]
    }

    /// Runs every role that is replayed.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let recording = Rc::new(self.recording());
        let roles = self.roles().into_iter();
        roles
            .filter_map(|(steps, role)| {
                Some(Run {
                    replay: *self,
                    role,
                    outcome: run(self, &recording, role, steps?),
                    recording: Rc::clone(&recording),
                })
            })
            .collect()
    }
}

impl Run {
    /// What the recorded end sent.
    pub(crate) fn recorded(&self) -> Vec<Line> {
        let messages: Vec<Message> = self
            .recording
            .sent(self.role)
            .into_iter()
            .map(|(_, message)| message)
            .collect();
        let mut pings = 0;
        let mut lines = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            let mut line = Line::of_recording(message);
            if message.op == Op::Ping && message.mux.get() == 0 {
                // The n-th ping goes out n periods after the handshake, by our own clock.
                pings += 1;
                let period = i128::from(self.replay.setup.ping) * 1_000_000;
                let time = Timestamp::from_unix_nanos(WALL_CLOCK + pings * period);
                line.payload.clear();
                Ping { time }.encode(&mut line.payload);
            }
            let next = messages[i + 1..]
                .iter()
                .find(|next| next.mux == message.mux);
            let again =
                next.is_some_and(|next| next.op == Op::DisconnectServerMux && next.seq == 0);
            if message.op == Op::DisconnectServerMux && message.seq != 0 && again {
                continue;
            }
            lines.push(line);
        }
        lines
    }

    /// What the machine has to send: what the recorded end sent, but for the differences that are listed.
    pub(crate) fn expected(&self) -> Vec<Line> {
        let mut lines = self.recorded();
        for edit in self.change().map_or(&[][..], |change| change.edits) {
            edit.apply(&mut lines);
        }
        lines
    }

    /// How ours differs in this role.
    pub(crate) fn change(&self) -> Option<&'static Change> {
        let difference = DIFFERENCES
            .iter()
            .find(|difference| difference.file == self.replay.file)?;
        Some(match self.role {
            Role::Caller => &difference.caller,
            Role::Handler => &difference.handler,
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {:?}", self.replay.file, self.role)
    }
}

/// One thing that is done to the node: a message of the peer, or a step of the table.
enum Turn<'a> {
    Message(usize, &'a Message),
    Step(usize),
}

fn run(replay: &Replay, recording: &Recording, role: Role, steps: Steps) -> Outcome {
    let received = recording.received(role);
    let mut turns: Vec<(f64, Turn<'_>)> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        if let When::At(millis) = step.when {
            turns.push((millis, Turn::Step(i)));
        }
    }
    for (i, (millis, message)) in received.iter().enumerate() {
        turns.push((*millis, Turn::Message(i + 1, message)));
    }
    turns.sort_by(|(a, _), (b, _)| a.total_cmp(b));

    let mut node = Node::new(replay, recording.start);
    let mut done = 0;
    for (millis, turn) in &turns {
        node.advance(*millis);
        match turn {
            Turn::Step(i) => {
                node.act(&steps[*i]);
                done += 1;
            }
            Turn::Message(n, message) => {
                node.receive((*message).clone());
                let after =
                    |step: &&super::script::Step| matches!(step.when, When::After(m) if m == *n);
                for step in steps.iter().filter(after) {
                    node.act(step);
                    done += 1;
                }
            }
        }
    }
    assert_eq!(done, steps.len(), "{}: a step has no place", replay.file);
    node.advance(recording.end + 5.0);
    Outcome {
        sent: node.sent.iter().map(Line::of_machine).collect(),
        idle: node.connection.is_idle(),
        left: format!("{:?}", node.connection),
        saw: node.saw,
    }
}
