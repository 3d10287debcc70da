//! What is logged of a link that goes and comes back.

use grid_transport::{
    LinkState,
    testing::{self, NAMES},
};

use crate::{logs::Logs, node, probe::*};

/// One line when it goes, one when it is back, and nothing else, on each node; an attempt that fails in between is no
/// news.
#[tokio::test(start_paused = true)]
async fn a_link_that_goes_and_is_back_is_two_lines_pair() {
    ends(async {
        let (logs, _guard) = Logs::capture();
        let pair = testing::pair(probe).await.unwrap();
        let before = logs.lines().len();
        pair.net.refuse(NAMES[0], NAMES[1], true);
        pair.cut();
        node::down_because(&pair.b_to_a(), |_| Some(())).await;
        node::state(&pair.a_to_b(), |state| match state {
            LinkState::Connecting { attempt: 2, .. } => Some(()),
            _ => None,
        })
        .await;
        pair.net.refuse(NAMES[0], NAMES[1], false);
        pair.connected().await.unwrap();
        let lines = logs.lines().split_off(before);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        for node in [pair.a.local(), pair.b.local()] {
            let own = format!("local=\"{node}\"");
            let own: Vec<_> = lines.iter().filter(|line| line.contains(&own)).collect();
            assert_eq!(own.len(), 2, "{lines:#?}");
            for (line, part) in own.into_iter().zip([", after: ", "connected to instance"]) {
                let told = line.contains(" INFO grid::link: ") && line.contains(part);
                assert!(told, "{part}: {line}");
            }
        }
    })
    .await;
}
