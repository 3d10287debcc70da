//! Errors of what is read from files: they name the setting and the file.

use grid_transport::tls::{Tls, TlsError};
use rustls_pki_types::CertificateDer;

use crate::{
    ACCEPTOR,
    certificates::{Authority, Folder, builder, from_files, write},
};

/// PEM that holds no certificate.
const RUBBISH: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

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
    let says = |built: Result<Tls, TlsError>, setting: &str, words: &str| {
        let error = built.map(|_| ()).unwrap_err().to_string();
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
    // Either may be the wrong one.
    let (shown, of) = (node.display(), key.display());
    let words =
        format!("in {shown} with the key in {of} can't be used: keys may not be consistent");
    says(with(&node, &key), "identity: ", &words);
    let given = builder().identity(own.chain(), another.key());
    let given = given.roots_file(&roots).build();
    says(given, "identity: keys may not be consistent", "");
    says(builder().build(), "roots: ", "nothing to verify");
    // PEM of something else, behind a good one.
    let rubbish = folder.path().join("rubbish.pem");
    let good = std::fs::read_to_string(&roots).unwrap();
    std::fs::write(&rubbish, format!("{good}{RUBBISH}")).unwrap();
    let shown = format!("certificate 2 in {} can't be used", rubbish.display());
    let two = builder().roots_file(&roots).roots_file(&rubbish);
    says(two.build(), "roots: ", &shown);
    let two = builder().pinned_file(&roots).pinned_file(&rubbish);
    says(two.build(), "pinned: ", &shown);
    let given = [CertificateDer::from(vec![0x30, 0x82, 0x01])];
    says(builder().pinned(given).build(), "pinned: ", "BadEncoding");
    // None is installed for the process here.
    let no_provider = Tls::builder().roots_file(&roots).build();
    says(no_provider, "no crypto provider", "TlsBuilder::provider");
    let without = builder().roots_file(&roots).build().unwrap();
    let socket = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    assert!(matches!(without.accept(socket), Err(TlsError::NoIdentity)));
}

/// Where the system's certificates are is told by the environment, which a process sets for its children.
#[cfg(feature = "tls-platform-roots")]
#[tokio::test]
async fn the_authorities_that_the_system_trusts_are_trusted_and_no_others() {
    use std::{env, path::PathBuf, process::Command};

    const NAME: &str = "files::the_authorities_that_the_system_trusts_are_trusted_and_no_others";
    const FOLDER: &str = "GRID_TLS_FOLDER";
    const TRUSTED: &str = "GRID_TLS_TRUSTED";
    if let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) {
        let acceptor = from_files(&folder).build().unwrap();
        let dialer = builder().platform_roots().build().unwrap();
        let pair = crate::pair(&dialer, &acceptor).await;
        match env::var_os(TRUSTED) {
            Some(_) => pair.is_up().await,
            None => pair.says("UnknownIssuer").await,
        }
        return pair.end().await;
    }
    let (known, unknown) = (Folder::new("known"), Folder::new("unknown"));
    for folder in [&known, &unknown] {
        let authority = Authority::new();
        write(
            folder.path(),
            &authority.certify(&[ACCEPTOR]),
            &[&authority],
        );
    }
    // One broken certificate keeps nobody from the others.
    let roots = known.path().join("roots.pem");
    let good = std::fs::read_to_string(&roots).unwrap();
    let system = known.path().join("system.pem");
    std::fs::write(&system, format!("{RUBBISH}{good}")).unwrap();
    for (shown, is_known) in [(&known, true), (&unknown, false)] {
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args(["--exact", NAME])
            .env(FOLDER, shown.path())
            .env("SSL_CERT_FILE", &system)
            .env_remove("SSL_CERT_DIR");
        if is_known {
            child.env(TRUSTED, "1");
        }
        let done = child.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
}
