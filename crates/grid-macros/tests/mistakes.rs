//! What the compiler says of services that are written wrongly. Here and not with grid-typed, as these are compiled in a
//! place of their own, together with all that the tests of their crate depend on.

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/wrong/*.rs");
}
