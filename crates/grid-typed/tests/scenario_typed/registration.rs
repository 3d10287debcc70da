//! Typed handlers that can't be registered (C22).

use grid_transport::{BuildError, Manager, NoAuth, RegisterError, Registry, testing::NAMES};
use grid_typed::{Capacity, HandlerId, ManagerBuilderExt as _, Single, Streaming, TypedStreamCall};

static SINGLE: Single<String, String> = Single::new(HandlerId::new(201));
/// Another definition of the same number.
static STREAM: Streaming<u64, u64, u64> = Streaming::new(HandlerId::new(201), Capacity::new(1, 1));
static ZERO: Single<String, String> = Single::new(HandlerId::new(0));
static ZERO_STREAM: Streaming<u64, u64, u64> =
    Streaming::new(HandlerId::new(0), Capacity::new(1, 1));

async fn same(text: String, _: grid_typed::Context) -> Result<String, grid_typed::HandlerError> {
    Ok(text)
}

async fn silent(_: u64, _: TypedStreamCall<u64, u64>) -> Result<(), grid_typed::HandlerError> {
    Ok(())
}

#[tokio::test]
async fn c22_typed_handlers_are_registered_once_unit() {
    let node = || Manager::builder(NAMES[0]).peers(NAMES).auth(NoAuth);
    for twice in [
        node().typed(&SINGLE, same).typed(&SINGLE, same),
        node().typed(&SINGLE, same).typed_stream(&STREAM, silent),
        node().typed_stream(&STREAM, silent).typed(&SINGLE, same),
    ] {
        let error = twice.build().unwrap_err();
        assert!(
            matches!(error, BuildError::Register(RegisterError::Twice { .. })),
            "{error:?}"
        );
        assert_eq!(error.to_string(), "handler 201 is registered twice");
    }
    let twice = node()
        .register(SINGLE.handler(same).subroute("disk1"))
        .register(STREAM.handler(silent).subroute("disk1"));
    assert_eq!(
        twice.build().unwrap_err().to_string(),
        "handler 201 under subroute \"disk1\" is registered twice"
    );
    for zero in [
        node().typed(&ZERO, same),
        node().typed_stream(&ZERO_STREAM, silent),
    ] {
        assert_eq!(
            zero.build().unwrap_err().to_string(),
            "handler id 0 can't be registered: 0 is never a handler"
        );
    }

    let registry = Registry::new();
    let _node = node().registry(&registry).build().unwrap();
    let late = registry.register(SINGLE.handler(same)).unwrap_err();
    assert!(matches!(late, RegisterError::Started { .. }), "{late:?}");
    assert_eq!(
        late.to_string(),
        "handler 201 is registered after the node has started"
    );
    let late = registry
        .register(STREAM.handler(silent).subroute("disk1"))
        .unwrap_err();
    assert_eq!(
        late.to_string(),
        "handler 201 under subroute \"disk1\" is registered after the node has started"
    );
}
