//! Where a node of ours is not to do what the recorded one did.

/// File, point of the protocol's annex, reason.
pub(crate) const DIFFERENCES: &[(&str, u32, &str)] = &[
    (
        "disconnect_during_stream_and_request_by_client.json",
        51,
        "nothing from before a loss is sent on a later connection: no DisconnectServerMux of the lost stream",
    ),
    (
        "disconnect_during_stream_and_request_by_server.json",
        51,
        "nothing from before a loss is sent on a later connection: no DisconnectServerMux of the lost stream",
    ),
    (
        "response_after_reconnect_by_client.json",
        53,
        "nothing from before a loss is sent on a later connection: the handler's late answer is discarded",
    ),
    (
        "response_after_reconnect_by_server.json",
        53,
        "nothing from before a loss is sent on a later connection: the handler's late answer is discarded",
    ),
];

/// Rejections whose reason ends in words about the bytes: the protocol leaves these open (section 2: `error parsing
/// connectReq: …`), so what is compared is the kind of
/// rejection, which is known by the beginning.
pub(crate) const OPEN_REASONS: &[&str] =
    &["reject_garbage.json", "reject_empty_connect_payload.json"];

/// Whether `file` may differ in the way of this point.
pub(crate) fn differs(file: &str, point: u32) -> bool {
    DIFFERENCES
        .iter()
        .any(|(name, listed, _)| *name == file && *listed == point)
}
