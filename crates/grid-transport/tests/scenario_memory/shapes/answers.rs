//! Answers to our own calls, which are beside the figure: they belong to whoever called.

use std::{future::IntoFuture, time::Duration};

use futures_util::FutureExt;
use grid_proto::{HandlerId, wire::Op};

use super::{MIB, taken};
use crate::{
    alone,
    bulk::{envelope, zeros},
    figure,
    hostile::{STUCK, dialing},
    node::B,
    scale::scaled,
    watch::Watch,
};

/// Each is nearly as large as a message may be, and nobody looks at it.
#[test]
fn unread_answers_of_a_hostile_serving_side() {
    let calls = scaled("memory", "calls of ours", 24, 32);
    alone(async {
        let settings = figure::settings().default_deadline(Duration::from_secs(600));
        let (mut raw, manager, link) = dialing(settings.clone()).await;
        let watch = Watch::begin();
        let mut open = Vec::new();
        for _ in 0..calls {
            let mut call = Box::pin(link.request(STUCK, "x").into_future());
            assert!((&mut call).now_or_never().is_none());
            open.push((call, raw.read_message().await.unwrap().mux.get()));
        }
        let len = settings.max_message;
        let mut payload = 0;
        for (_, mux) in &open {
            let mux = u32::try_from(*mux).unwrap();
            let head = |len| envelope(Op::Response, HandlerId::new(0), mux, 0, len);
            payload = len - head(0).len();
            let frame = [&[0x82, 0x7f][..], &(len as u64).to_be_bytes()].concat();
            raw.send_bytes(&[frame, head(payload)].concat()).await;
            zeros(&mut raw, payload).await;
        }
        taken(&manager, B).await;
        let (held, peak) = (watch.now(), watch.peak());
        let (figure, answers) = (figure::link(&settings), calls * len);
        println!(
            "unread answers: {} MiB at the most, {} at the end, {} of them of {}; the link's figure is {} MiB",
            peak / MIB,
            held / MIB,
            calls,
            answers / MIB,
            figure / MIB
        );
        assert!(link.state().is_connected(), "{}", link.state());
        let most = figure + answers;
        assert!(peak <= most + most / 10, "{peak} of {most}");
        // They are what is held, and once each.
        let range = calls * payload..answers + 3 * len + MIB;
        assert!(range.contains(&held), "{held} is not in {range:?}");
        assert!(range.contains(&peak), "{peak} is not in {range:?}");
        for (call, _) in open {
            assert_eq!(call.await.unwrap().len(), payload);
        }
        manager.shutdown(Duration::ZERO).await;
    });
}
