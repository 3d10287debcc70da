//! Handlers that can't be registered (C22).

use grid_transport::{
    BuildError, Builder, Capacity, HandlerId, Manager, NoAuth, RegisterError, Registration,
    Registry, SingleHandler, StreamHandler, testing::NAMES,
};

const ID: HandlerId = HandlerId::new(9);

/// A handler of each kind, under the subroute.
fn of_each_kind(id: HandlerId, subroute: Option<&str>) -> [Registration; 2] {
    let single = SingleHandler::new(id, |request| async move { Ok(request.into_payload()) });
    let stream = StreamHandler::new(id, Capacity::new(1, 1), |_| async { Ok(()) });
    match subroute {
        Some(route) => [single.subroute(route).into(), stream.subroute(route).into()],
        None => [single.into(), stream.into()],
    }
}

fn builder() -> Builder {
    Manager::builder(NAMES[0]).peers(NAMES).auth(NoAuth)
}

/// What each place is called in an error.
const PLACES: [(Option<&str>, &str); 2] =
    [(None, ""), (Some("disk1"), " under subroute \"disk1\"")];

#[tokio::test]
async fn c22_a_handler_is_registered_once_unit() {
    for (subroute, place) in PLACES {
        for first in of_each_kind(ID, subroute) {
            let registry = Registry::new();
            registry.register(first).unwrap();
            for second in of_each_kind(ID, subroute) {
                let error = registry.register(second).unwrap_err();
                assert!(matches!(error, RegisterError::Twice { .. }), "{error:?}");
                let text = format!("handler 9{place} is registered twice");
                assert_eq!(error.to_string(), text);
            }
            // Elsewhere it is another one.
            for (other, _) in PLACES {
                let [single, _] = of_each_kind(ID, other);
                assert_eq!(registry.register(single).is_ok(), other != subroute);
            }
        }
        let [first, second] = of_each_kind(ID, subroute);
        let built = builder().register(first).register(second).build();
        let error = built.unwrap_err();
        assert!(
            matches!(error, BuildError::Register(RegisterError::Twice { .. })),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("handler 9{place} is registered twice")
        );
    }
}

#[tokio::test]
async fn c22_no_handler_has_number_0_unit() {
    for (subroute, place) in PLACES {
        for zero in of_each_kind(HandlerId::new(0), subroute) {
            let error = builder().register(zero).build().unwrap_err();
            assert!(
                matches!(error, BuildError::Register(RegisterError::InvalidId { .. })),
                "{error:?}"
            );
            assert_eq!(
                error.to_string(),
                format!("handler id 0 can't be registered{place}: 0 is never a handler")
            );
        }
    }
}

#[tokio::test]
async fn c22_no_handler_comes_after_the_start_unit() {
    let registry = Registry::new();
    let [single, _] = of_each_kind(ID, None);
    registry.register(single).unwrap();
    let _node = builder().registry(&registry).build().unwrap();
    for (subroute, place) in PLACES {
        for late in of_each_kind(ID, subroute) {
            let error = registry.register(late).unwrap_err();
            assert!(matches!(error, RegisterError::Started { .. }), "{error:?}");
            assert_eq!(
                error.to_string(),
                format!("handler 9{place} is registered after the node has started")
            );
        }
    }
}
