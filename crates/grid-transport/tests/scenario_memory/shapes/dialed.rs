//! The peer that we have dialed, and whose streams we do not read.

use std::time::Duration;

use grid_proto::wire::{Message, Op};
use grid_transport::{CallError, Capacity};

use super::{MIB, inbound, taken};
use crate::{
    alone, figure,
    hostile::{STUCK, dialing, numbered},
    node::B,
    raw::Frame,
    watch::Watch,
};

/// How many streams are open to it.
const STREAMS: usize = 8;

/// Each item is within its stream's capacity; all of them together are three times what the limit allows.
#[test]
fn unread_items_of_a_hostile_serving_side() {
    alone(async {
        let settings = figure::settings();
        let (mut raw, manager, link) = dialing(settings.clone()).await;
        let len = settings.max_message / 8;
        let each = u32::try_from(3 * settings.max_inbound / (STREAMS * len)).unwrap();
        let watch = Watch::begin();
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let capacity = Capacity::new(0, each);
            let stream = link.stream(STUCK, capacity, "s").await.unwrap();
            let mux = raw.read_message().await.unwrap().mux.get();
            raw.send_message(&numbered(Op::AckMux, mux, 0, "")).await;
            streams.push((mux, stream));
        }
        let mut bytes = Vec::new();
        for seq in 1..=each {
            for (mux, _) in &streams {
                bytes.clear();
                let mut item: Message = numbered(Op::MuxServerMsg, *mux, seq, vec![0; len - 64]);
                item.flags = grid_proto::wire::Flags::empty();
                item.encode(&mut bytes);
                raw.send_frame(&Frame::binary(bytes.as_slice(), false))
                    .await;
            }
        }
        taken(&manager, B).await;
        // What goes when a stream ends goes between two looks at it.
        let range = settings.max_inbound / 2..inbound(&settings).end;
        let (peak, figure) = (watch.peak(), figure::link(&settings));
        println!(
            "unread items of the peer that we dialed: {} MiB at the most, {} at the end, of {}",
            peak / MIB,
            watch.now() / MIB,
            range.end / MIB
        );
        assert!(link.state().is_connected(), "{}", link.state());
        assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        assert!(range.contains(&peak), "{peak} is not in {range:?}");
        // Who holds most pays: some streams have ended for it, with the reason, and not all.
        let mut overloaded = 0;
        for (_, mut stream) in streams {
            drop(raw.round_trip().await);
            let mut items = 0;
            while items < each {
                match futures_util::FutureExt::now_or_never(stream.recv()) {
                    Some(Some(Ok(_))) => items += 1,
                    Some(Some(Err(error))) => {
                        assert!(matches!(error, CallError::Overrun), "{error:?}");
                        overloaded += 1;
                        break;
                    }
                    other => panic!("{other:?} after {items} of {each} items"),
                }
            }
        }
        assert!(overloaded > 0 && overloaded < STREAMS, "{overloaded}");
        manager.shutdown(Duration::ZERO).await;
    });
}
