use std::time::UNIX_EPOCH;

use super::*;

const ACCESS: &str = "grid-admin";
const SECRET: &str = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";
const NOW: u64 = 1_800_000_000;

/// Made by another implementation (Python's `hmac`), of what a token of ours says at `NOW`, so that maker and checker
/// can't be wrong in the same way.
const TOKEN: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.\
    eyJleHAiOjE4MDAwMDA5MDAsInN1YiI6ImdyaWQtYWRtaW4iLCJhY2Nlc3NLZXkiOiJncmlkLWFkbWluIn0.\
    38kmf2cPByXN1dWOuQ9uAKrS8S1gn25js9tUfcjPVhbSrjwMVafbyJ-vE-_9_xkJr-ACXN4vb_BqgBNcpwWalQ";
/// Likewise, by the same key: with its fields in another order and good until 2126.
const LONG_LIVED: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.\
    eyJhY2Nlc3NLZXkiOiJncmlkLWFkbWluIiwiZXhwIjo0OTUzNjAwMDAwLCJzdWIiOiJncmlkLWFkbWluIn0.\
    e8uW4krecnszIIlt1pjm5RAbtnNFYoJ2Ao1Vnj2z3r6tLmhtFON813BVEu2gQJU6NeYHlNZN2D6LMa_4YxsJvA";
/// Likewise, with HS256 and HS384, which are good signatures by the same key.
const HS256: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJleHAiOjE4MDAwMDA5MDAsInN1YiI6ImdyaWQtYWRtaW4iLCJhY2Nlc3NLZXkiOiJncmlkLWFkbWluIn0.\
    JZb_YDW0-DZXxIqoseqBG2sCSX6Z8Gzh8CTGRm4po6k";
const HS384: &str = "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.\
    eyJleHAiOjE4MDAwMDA5MDAsInN1YiI6ImdyaWQtYWRtaW4iLCJhY2Nlc3NLZXkiOiJncmlkLWFkbWluIn0.\
    fv1sFscEvjmAeuqLg8MApa8Cd3AwDmE0U9WvFmfzKcxR49Re_RcbgFId55Osld6n";

const VALID: &str = "valid";
const OTHER_KEY: &str = "the token is signed with another secret key";
const NO_TOKEN: &str = "not a JSON web token";
const NOT_HS512: &str = "the token is not signed with HS512";

fn jwt() -> Jwt {
    Jwt::new(ACCESS, SECRET).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn says(auth: &Jwt, token: &str, now: u64) -> String {
    let outcome = auth.examine(token.as_bytes(), at(now));
    outcome.map_or_else(|error| error.reason().to_owned(), |()| VALID.to_owned())
}

/// A token of these parts, signed with the right key.
fn signed(header: &str, claims: &str) -> String {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mac = sign(SECRET.as_bytes(), &text)
        .unwrap()
        .finalize()
        .into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

#[test]
fn a_token_is_what_another_implementation_makes_of_the_same() {
    assert_eq!(jwt().make(at(NOW)).unwrap(), TOKEN);
    assert_eq!(says(&jwt(), TOKEN, NOW), VALID);
    assert_eq!(says(&jwt(), LONG_LIVED, NOW), VALID);
}

#[test]
fn a_token_is_good_until_its_expiry_and_for_its_keys_alone() {
    let limit = LIFETIME.as_secs();
    let expired = "the token has expired by this node's clock (exp)";
    for (now, said) in [
        (0, VALID),
        (NOW + limit - 1, VALID),
        (NOW + limit, expired),
        (u64::from(u32::MAX), expired),
    ] {
        assert_eq!(says(&jwt(), TOKEN, now), said, "{now}");
    }
    let brief = jwt().lifetime(Duration::from_secs(2)).unwrap();
    let token = brief.make(at(NOW)).unwrap();
    assert_eq!(says(&jwt(), &token, NOW + 1), VALID);
    assert_eq!(says(&jwt(), &token, NOW + 2), expired);

    let other_secret = Jwt::new(ACCESS, "another").unwrap();
    assert_eq!(says(&other_secret, TOKEN, NOW), OTHER_KEY);
    let other_access = Jwt::new("somebody", SECRET).unwrap();
    let said = says(&other_access, TOKEN, NOW);
    assert_eq!(said, "the token is for another access key (sub)");
}

#[test]
fn only_hs512_is_taken() {
    for other in [HS256, HS384] {
        assert_eq!(says(&jwt(), other, NOW), NOT_HS512);
    }
    let claims = r#"{"exp":1800000900,"sub":"grid-admin","accessKey":"grid-admin"}"#;
    for algorithm in [
        r#""none""#,
        r#""None""#,
        r#""hs512""#,
        r#""RS512""#,
        r#"["HS512"]"#,
        "512",
        "null",
    ] {
        let token = signed(&format!(r#"{{"alg":{algorithm}}}"#), claims);
        assert_eq!(says(&jwt(), &token, NOW), NOT_HS512, "{algorithm}");
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        let said = says(&jwt(), &format!("{unsigned}."), NOW);
        assert_eq!(said, NOT_HS512, "{algorithm}");
    }
    assert_eq!(says(&jwt(), &signed("{}", claims), NOW), NOT_HS512);
    // Good in all else.
    assert_eq!(says(&jwt(), &signed(HEADER, claims), NOW), VALID);
    let critical = r#"{"alg":"HS512","crit":["exp"]}"#;
    let said = says(&jwt(), &signed(critical, claims), NOW);
    assert_eq!(said, "the token asks for more than HS512 (crit)");
}

#[test]
fn what_is_missing_or_wrong_in_it_is_named() {
    for (claims, said) in [
        (
            r#"{"sub":"grid-admin","accessKey":"grid-admin"}"#,
            "the token has no expiry (exp)",
        ),
        (
            r#"{"exp":"1800000900","sub":"grid-admin","accessKey":"grid-admin"}"#,
            "the token's expiry (exp) is no whole number of seconds",
        ),
        (
            r#"{"exp":-1,"sub":"grid-admin","accessKey":"grid-admin"}"#,
            "the token's expiry (exp) is no whole number of seconds",
        ),
        (
            r#"{"exp":1800000900,"nbf":1800000001,"sub":"grid-admin","accessKey":"grid-admin"}"#,
            "the token is not good yet by this node's clock (nbf)",
        ),
        (
            r#"{"exp":1800000900,"nbf":"soon","sub":"grid-admin","accessKey":"grid-admin"}"#,
            "the token is not good yet by this node's clock (nbf)",
        ),
        (
            r#"{"exp":1800000900,"nbf":1800000000,"sub":"grid-admin","accessKey":"grid-admin"}"#,
            VALID,
        ),
        (
            r#"{"exp":1800000900,"accessKey":"grid-admin"}"#,
            "the token names no access key in sub",
        ),
        (
            r#"{"exp":1800000900,"sub":"grid-admin"}"#,
            "the token names no access key in accessKey",
        ),
        (
            r#"{"exp":1800000900,"sub":"grid-admim","accessKey":"grid-admin"}"#,
            "the token is for another access key (sub)",
        ),
        (
            r#"{"exp":1800000900,"sub":"grid-admin","accessKey":"grid-admin2"}"#,
            "the token is for another access key (accessKey)",
        ),
        (
            r#"{"exp":1800000900,"sub":"grid-admin","accessKey":["grid-admin"]}"#,
            "the token names no access key in accessKey",
        ),
        ("[]", "the token's claims can't be read"),
        ("{", "the token's claims can't be read"),
        ("", "the token's claims can't be read"),
    ] {
        assert_eq!(says(&jwt(), &signed(HEADER, claims), NOW), said, "{claims}");
    }
}

#[test]
fn what_was_changed_on_the_way_is_not_genuine() {
    let [header, claims, signature]: [&str; 3] =
        TOKEN.split('.').collect::<Vec<_>>().try_into().unwrap();
    let later =
        URL_SAFE_NO_PAD.encode(r#"{"exp":1900000000,"sub":"grid-admin","accessKey":"grid-admin"}"#);
    let cut = &signature[..signature.len() - 2];
    for changed in [
        format!("{header}.{later}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{cut}"),
        format!("{header}.{claims}.{signature}AAAA"),
        format!("{header}.{claims}.{claims}.{signature}"),
        format!("{header}..{signature}"),
    ] {
        assert_eq!(says(&jwt(), &changed, NOW), OTHER_KEY, "{changed}");
    }
    let padded = format!("{TOKEN}==");
    for nonsense in [
        "",
        ".",
        "..",
        "grid1.1800000000.00",
        claims,
        &TOKEN[1..],
        &TOKEN[..TOKEN.len() - 1],
        &padded,
        &TOKEN.replace('_', "/"),
        "W10.W10.",
    ] {
        assert_eq!(says(&jwt(), nonsense, NOW), NO_TOKEN, "{nonsense}");
    }
    assert!(jwt().examine(b"\xff.\xff.\xff", at(NOW)).is_err());
}

#[test]
fn keys_and_lifetimes_that_can_not_work_are_named() {
    assert_eq!(Jwt::new("", SECRET).unwrap_err(), JwtError::EmptyAccessKey);
    assert_eq!(Jwt::new(ACCESS, "").unwrap_err(), JwtError::EmptySecretKey);
    let error = jwt().or("").unwrap_err();
    let words = "the secret keys can't be used: secret number 2 is empty";
    assert_eq!(error.to_string(), words);
    let error = jwt().change(["a"; 5]).unwrap_err();
    let words = "the secret keys can't be used: there are more than 4 secrets";
    assert_eq!(error.to_string(), words);
    for lifetime in [
        Duration::ZERO,
        Duration::from_millis(999),
        LONGEST + Duration::from_secs(1),
        Duration::MAX,
    ] {
        let error = jwt().lifetime(lifetime).unwrap_err();
        assert!(error.to_string().contains(&format!("{lifetime:?}")));
    }
    assert!(jwt().lifetime(LONGEST).is_ok());
}

#[test]
fn an_access_key_may_be_any_text() {
    let odd = Jwt::new("\"},{\u{e9}\n\\", SECRET).unwrap();
    let token = odd.make(at(NOW)).unwrap();
    assert_eq!(says(&odd, &token, NOW), VALID);
    assert_ne!(says(&jwt(), &token, NOW), VALID);
}

#[tokio::test]
async fn headers_count_only_where_they_are_asked_for() {
    let (lax, eager) = (jwt(), jwt().check_headers(true));
    let wrong = Jwt::new(ACCESS, "another").unwrap().make(at(NOW)).unwrap();
    for (bearer, good) in [(Some(TOKEN), true), (Some(&*wrong), false), (None, false)] {
        let headers = |now| UpgradeHeaders::new(bearer.map(str::as_bytes), None, at(now));
        assert!(Auth::check_headers(&lax, headers(NOW)).await.is_ok());
        let outcome = Auth::check_headers(&eager, headers(NOW)).await;
        assert_eq!(outcome.is_ok(), good, "{bearer:?}");
        let late = Auth::check_headers(&eager, headers(NOW + 900)).await;
        assert!(late.is_err(), "{bearer:?}");
    }
}

#[test]
fn neither_key_is_shown() {
    let shown = format!("{:?} {:#?}", jwt(), jwt());
    for key in [ACCESS, SECRET, "114, 88"] {
        assert!(!shown.contains(key), "{shown}");
    }
}
