//! Errors of what is read from files: they name the setting and the file.

use grid_transport::tls::TlsError;

use crate::{
    ACCEPTOR,
    certificates::{Authority, builder, from_files, write},
    rotation::Folder,
};

#[test]
fn an_error_names_the_setting_and_the_file() {
    let folder = Folder::new("errors");
    let authority = Authority::new();
    let own = authority.certify(&[ACCEPTOR]);
    write(folder.path(), &own, &[&authority]);
    let (node, key, roots) = (
        folder.path().join("node.pem"),
        folder.path().join("node.key"),
        folder.path().join("roots.pem"),
    );
    from_files(folder.path()).build().unwrap();
    let missing = folder.path().join("missing.pem");
    let says = |built: Result<_, TlsError>, setting: &str, words: &str| {
        let error = built
            .map(|_: grid_transport::tls::Tls| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(setting) && error.contains(words),
            "{error}"
        );
    };
    let shown = missing.display().to_string();
    says(builder().roots_file(&missing).build(), "roots: ", &shown);
    says(builder().pinned_file(&missing).build(), "pinned: ", &shown);
    let with = |chain, key| {
        builder()
            .identity_files(chain, key)
            .roots_file(&roots)
            .build()
    };
    says(with(&missing, &key), "identity: ", &shown);
    says(with(&node, &missing), "identity: ", &shown);
    // The two in each other's place.
    says(
        with(&key, &node),
        "identity: no certificate in ",
        &key.display().to_string(),
    );
    says(
        with(&node, &node),
        "identity: no private key in ",
        &node.display().to_string(),
    );
    let another = authority.certify(&[ACCEPTOR]);
    std::fs::write(&key, another.key_pem()).unwrap();
    says(
        with(&node, &key),
        "identity: ",
        "keys may not be consistent",
    );
    says(builder().build(), "roots: ", "nothing to verify");
    let without = builder().roots_file(&roots).build().unwrap();
    let socket = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    assert!(matches!(without.accept(socket), Err(TlsError::NoIdentity)));
}
