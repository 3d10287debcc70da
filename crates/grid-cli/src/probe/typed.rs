//! The typed handlers of single requests.

use grid_transport::{HandlerId, Registration};
use grid_typed::{Array, Bytes, Json, Single, StringMap, UrlValues};
use serde::{Deserialize, Serialize};

/// Answers the map with `reply` = `ok` added.
pub static STRING_MAP: Single<StringMap, StringMap> = Single::new(HandlerId::new(41));
/// Answers the value with `n` + 1.
pub static JSON: Single<Json<Numbers>, Json<Numbers>> = Single::new(HandlerId::new(43));
/// Echoes URL values.
pub static URL_VALUES: Single<UrlValues, UrlValues> = Single::new(HandlerId::new(44));
/// Echoes bytes.
pub static BYTES: Single<Bytes, Bytes> = Single::new(HandlerId::new(45));
/// Echoes an array of string maps.
pub static ARRAY: Single<Array<StringMap>, Array<StringMap>> = Single::new(HandlerId::new(51));

/// What [`JSON`] takes and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Numbers {
    /// A number.
    pub n: i64,
    /// A text.
    pub s: String,
    /// Texts; left out when there are none.
    #[serde(skip_serializing_if = "is_empty")]
    pub list: Option<Vec<String>>,
}

fn is_empty(list: &Option<Vec<String>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

pub(super) fn handlers() -> Vec<Registration> {
    vec![
        STRING_MAP
            .handler(|mut map, _| async move {
                map.insert("reply", "ok");
                Ok(map)
            })
            .into(),
        JSON.handler(|json: Json<Numbers>, _| async move {
            let mut numbers = json.into_inner().unwrap_or_default();
            numbers.n = numbers.n.wrapping_add(1);
            Ok(Json::new(numbers))
        })
        .into(),
        URL_VALUES
            .handler(|values, _| async move { Ok(values) })
            .into(),
        BYTES.handler(|bytes, _| async move { Ok(bytes) }).into(),
        ARRAY.handler(|array, _| async move { Ok(array) }).into(),
    ]
}
