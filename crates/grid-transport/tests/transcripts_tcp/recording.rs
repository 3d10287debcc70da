//! Recorded conversations, as their files have them.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use grid_proto::wire::{ConnectRequest, Message, unfold};
use serde_json::Value;

use crate::raw::Frame;

/// A recorded conversation.
pub(crate) struct Recording {
    pub(crate) file: &'static str,
    pub(crate) entries: Vec<Value>,
}

impl Recording {
    pub(crate) fn load(file: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors/transcripts")
            .join(file);
        let transcript: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Self {
            file,
            entries: transcript["entries"].as_array().unwrap().clone(),
        }
    }

    /// The first connect request, where there is one that can be read.
    pub(crate) fn request(&self) -> Option<ConnectRequest> {
        let frames = self.entries.iter().filter(|entry| entry["kind"] == "ws");
        let message = frames
            .map(frame)
            .find_map(|frame| Message::decode(frame.payload.into()).ok())?;
        ConnectRequest::decode(&message.payload).ok()
    }

    /// Puts another message into an entry, with a checksum that is right.
    pub(crate) fn change(&mut self, entry: usize, change: impl FnOnce(&mut Message)) {
        let entry = &mut self.entries[entry];
        let mut message = Message::decode(frame(entry).payload.into()).unwrap();
        let before = message.clone();
        change(&mut message);
        assert_ne!(message, before);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        entry["frame_hex"] = hex::encode(bytes).into();
    }

    /// The dialer's clock, as its connect request tells it; where that tells none, any.
    pub(crate) fn dialer_clock(&self) -> SystemTime {
        let told = self
            .request()
            .and_then(|request| request.time.to_system_time());
        told.unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_349_465))
    }
}

pub(crate) fn frame(entry: &Value) -> Frame {
    let number = |name: &str| u8::try_from(entry[name].as_u64().unwrap()).unwrap();
    Frame {
        fin: entry["ws_fin"].as_bool().unwrap(),
        rsv: number("ws_rsv"),
        opcode: number("ws_opcode"),
        masked: entry["ws_masked"].as_bool().unwrap(),
        payload: hex::decode(entry["frame_hex"].as_str().unwrap()).unwrap(),
    }
}

pub(crate) fn messages(frame: &Frame) -> Vec<Message> {
    unfold(Bytes::from(frame.payload.clone()))
        .map(Result::unwrap)
        .collect()
}

pub(crate) fn lines(entry: &Value) -> Vec<String> {
    let lines = entry["lines"].as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}
