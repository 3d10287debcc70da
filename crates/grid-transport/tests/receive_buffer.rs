//! What the system may hold received and not read of a link, over plain TCP.

#[path = "common/kept.rs"]
mod kept;

use std::time::Duration;

use grid_transport::{
    BuildError, HandlerId, Manager, Request, Settings, SharedSecret, TcpDialer, testing,
};
use tokio::{net::TcpListener, time::timeout};

use self::kept::{BOUND, Kept, KeptDialer, KeptListener, bounded_and_not};

const ECHO: HandlerId = HandlerId::new(9);
/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(50);

/// What the receive buffers of two connected nodes are after each has sent the other so many bytes: of the sockets that
/// were dialed, and of those that were accepted.
async fn receive_buffers(settings: &Settings, sent: usize) -> [Vec<usize>; 2] {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let names = sockets
        .each_ref()
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()));
    let (dialed, accepted) = (Kept::default(), Kept::default());
    let mut nodes = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        let node = Manager::builder(name)
            .peers(names.clone())
            .auth(SharedSecret::new("only we know"))
            .settings(settings.clone())
            .dialer(KeptDialer {
                dialer: TcpDialer::new(),
                tcp: |io| (**io).as_any().downcast_ref(),
                kept: dialed.clone(),
            })
            .single(ECHO, |request: Request| async move {
                Ok(request.into_payload())
            })
            .build()
            .unwrap();
        node.serve_on(KeptListener(socket, accepted.clone()))
            .unwrap();
        nodes.push(node);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let link = nodes[from].connection(&names[to]).unwrap();
        timeout(PATIENCE, link.connected()).await.unwrap().unwrap();
        let answer = link.request(ECHO, vec![7; sent]).await.unwrap();
        assert_eq!(answer.as_slice(), vec![7; sent]);
    }
    let found = [&dialed, &accepted].map(Kept::receive_buffers);
    for node in &nodes {
        node.shutdown(Duration::ZERO).await;
    }
    found
}

#[tokio::test]
async fn the_sockets_of_both_sides_have_the_bound_and_keep_it() {
    let [bounded, unbounded] = bounded_and_not().await;
    let settings = Settings::new().receive_buffer(Some(BOUND));
    let sizes = receive_buffers(&settings, 8 << 20).await;
    assert_eq!(sizes, [vec![bounded], vec![bounded]]);
    // The system's own would grow if more came.
    let sizes = receive_buffers(&Settings::new(), 1).await;
    assert_eq!(sizes, [vec![unbounded], vec![unbounded]]);
}

#[tokio::test]
async fn a_bound_that_cannot_work_is_named() {
    let build = |bytes| {
        let settings = Settings::new().receive_buffer(Some(bytes));
        let names = ["http://a:9000", "http://b:9000"];
        let net = testing::Net::new();
        let builder = Manager::builder(names[0]).peers(names);
        builder
            .auth(SharedSecret::new("only we know"))
            .dialer(net.dialer(names[0]))
            .settings(settings)
            .build()
    };
    for bytes in [0, (64 << 10) - 1, (1 << 30) + 1] {
        let error = build(bytes).unwrap_err();
        assert!(matches!(error, BuildError::BadSetting { .. }));
        let words = format!("setting receive_buffer can't be {bytes}");
        assert_eq!(error.to_string(), words);
    }
    for bytes in [64 << 10, 1 << 30] {
        build(bytes).unwrap().shutdown(Duration::ZERO).await;
    }
}
