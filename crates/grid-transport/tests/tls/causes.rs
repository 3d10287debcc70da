//! What the state of a link says where a certificate is not good enough.

use grid_transport::tls::Tls;

use crate::{
    ACCEPTOR, DIALER,
    certificates::{self, Authority, tls},
    pair,
};

async fn says(dialer: &Tls, acceptor: &Tls, words: &str) {
    let pair = pair(dialer, acceptor).await;
    pair.says(words).await;
    assert!(!pair.to_acceptor.state().is_connected());
    pair.end().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_good_enough_is_the_cause_in_words() {
    let authority = Authority::new();
    let other = Authority::new();
    let trusting = certificates::builder()
        .roots([authority.root.clone()])
        .build()
        .unwrap();
    for (shown, words) in [
        (
            authority.certify_expired(&[ACCEPTOR]),
            "certificate expired",
        ),
        (
            authority.certify(&["node-9.test", "127.0.0.9"]),
            "not valid for name",
        ),
        (other.certify(&[ACCEPTOR]), "UnknownIssuer"),
    ] {
        let acceptor = tls(&shown, &authority).build().unwrap();
        says(&trusting, &acceptor, words).await;
    }
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_the_cause() {
    let authority = Authority::new();
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    let pinned = authority.certify(&[ACCEPTOR]);
    let dialer = certificates::builder()
        .roots([authority.root.clone()])
        .pinned([pinned.certificate.clone()])
        .build()
        .unwrap();
    says(&dialer, &acceptor, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_client_without_a_certificate_or_with_a_strange_one_is_told_so() {
    let (authority, other) = (Authority::new(), Authority::new());
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .mutual()
        .build()
        .unwrap();
    let without = certificates::builder()
        .roots([authority.root.clone()])
        .build()
        .unwrap();
    says(&without, &acceptor, "CertificateRequired").await;
    let strange = tls(&other.certify(&[DIALER]), &authority).build().unwrap();
    says(&strange, &acceptor, "UnknownCA").await;
    let expired = tls(&authority.certify_expired(&[DIALER]), &authority)
        .build()
        .unwrap();
    says(&expired, &acceptor, "CertificateExpired").await;
}

#[tokio::test]
async fn a_dialer_without_tls_says_what_it_needs() {
    let authority = Authority::new();
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    let pair = pair(&acceptor, &acceptor).await;
    let plain = crate::node::builder(pair.dialer.local(), &[pair.acceptor.local()])
        .dialer(grid_transport::TcpDialer::new())
        .build()
        .unwrap();
    let link = crate::node::link(&plain, &pair.acceptor);
    crate::node::down_because(&link, |cause| {
        let words = "an https name needs a dialer that speaks TLS";
        cause.to_string().contains(words).then_some(())
    })
    .await;
    plain.shutdown(std::time::Duration::ZERO).await;
    pair.end().await;
}
