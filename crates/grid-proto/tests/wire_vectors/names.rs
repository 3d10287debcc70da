//! `subroutes.json` and `should_connect.json`.

use grid_proto::{HandlerId, Route, SubrouteId, local_dials};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::entry::vectors;

#[derive(Deserialize)]
struct Subroute {
    kind: String,
    handler: u8,
    parts: Option<Vec<String>>,
    route: Option<String>,
    subhandlerid_hex: String,
    registered_subhandlerid_hex: Option<String>,
}

#[test]
fn subroute_ids_are_the_references() {
    let entries: Vec<Subroute> = vectors("subroutes.json");
    assert!(entries.len() > 90, "{}", entries.len());
    for entry in entries {
        let handler = HandlerId::new(entry.handler);
        let id = match entry.kind.as_str() {
            "make_sub_handler_id" => SubrouteId::new(handler, entry.route.as_ref().unwrap()),
            "joined_client_subroutes" => {
                let parts = entry.parts.unwrap();
                let (first, more) = parts.split_first().unwrap();
                let route = more
                    .iter()
                    .fold(Route::new(first.as_str()), |route, part| route.join(part));
                assert_eq!(route.as_str(), entry.route.unwrap());
                assert_eq!(
                    hex::encode(route.id(handler).as_bytes()),
                    entry.registered_subhandlerid_hex.unwrap()
                );
                route.id(handler)
            }
            "zero_sub_handler_id" => SubrouteId::zero(handler),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(hex::encode(id.as_bytes()), entry.subhandlerid_hex);
        assert_eq!(id.handler(), handler);
    }
}

#[derive(Deserialize)]
struct Pair {
    local: String,
    remote: String,
    local_dials: bool,
    h_local_remote: String,
    h_remote_local: String,
}

#[test]
fn the_same_node_dials() {
    let pairs: Vec<Pair> = vectors("should_connect.json");
    assert!(pairs.len() > 100, "{}", pairs.len());
    for Pair {
        local,
        remote,
        local_dials: expected,
        h_local_remote,
        h_remote_local,
    } in pairs
    {
        assert_eq!(local_dials(&local, &remote), expected, "{local} {remote}");
        let hash = |first: &str, second: &str| {
            format!("{:016x}", xxh3_64(format!("{first}{second}").as_bytes()))
        };
        assert_eq!(hash(&local, &remote), h_local_remote);
        assert_eq!(hash(&remote, &local), h_remote_local);
    }
}
