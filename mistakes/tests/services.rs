//! Each file in `wrong` beside what the compiler says of it.

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/wrong/*.rs");
}
