//! What the system may hold received and not read of a link over TLS.

use std::time::Duration;

use grid_transport::Settings;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::{
    ACCEPTOR,
    certificates::{Authority, tls},
    dialer_of,
    kept::{BOUND, Kept, KeptDialer, KeptListener, bounded_and_not},
    node::{builder, connected, link},
};

#[tokio::test]
async fn the_sockets_of_both_sides_have_the_bound() {
    let authority = Authority::new();
    let tls = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let acceptor = format!("https://{}", socket.local_addr().unwrap());
    let names = [dialer_of(&acceptor), acceptor];
    let (dialed, accepted) = (Kept::default(), Kept::default());
    let node = |local: usize| {
        builder(&names[local], &[&*names[1 - local]])
            .settings(Settings::new().receive_buffer(Some(BOUND)))
            .dialer(KeptDialer {
                dialer: tls.dialer(),
                tcp: |io| {
                    let stream: &TlsStream<TcpStream> = (**io).as_any().downcast_ref()?;
                    Some(stream.get_ref().0)
                },
                kept: dialed.clone(),
            })
            .build()
            .unwrap()
    };
    let acceptor = node(1);
    let source = tls.accept(KeptListener(socket, accepted.clone())).unwrap();
    acceptor.serve_on(source).unwrap();
    let dialer = node(0);
    connected(&link(&dialer, &acceptor)).await;
    let [bounded, _] = bounded_and_not().await;
    for side in [dialed, accepted] {
        assert_eq!(side.receive_buffers(), [bounded]);
    }
    for node in [dialer, acceptor] {
        node.shutdown(Duration::ZERO).await;
    }
}
