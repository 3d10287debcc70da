//! Exceptions in the code: `// tidy: sleep: reason` and `// tidy: expect: reason`, on the line that
//! they excuse or in the comment above it. One that excuses nothing is wrong.

use super::source::tokens;
use super::tree::Tree;
use super::{Finding, Verdict, sleeps, unwraps};

const SIGN: &str = concat!("// tidy", ": ");

/// Whether a line is excused from a rule.
pub(super) fn excused(text: &str, line: usize, rule: &str) -> bool {
    let lines: Vec<_> = text.lines().collect();
    let mark = format!("{SIGN}{rule}:");
    let Some(mut index) = line.checked_sub(1).filter(|&index| index < lines.len()) else {
        return false;
    };
    if lines[index].contains(&mark) {
        return true;
    }
    while index > 0 && lines[index - 1].trim_start().starts_with("//") {
        index -= 1;
        if lines[index].contains(&mark) {
            return true;
        }
    }
    false
}

/// Every mark gives a reason, and there is something below or beside it that needs one.
pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    for (path, text) in tree.matching("crates/", ".rs") {
        let tokens = tokens(text);
        let mut needs = Vec::new();
        needs.extend(
            sleeps::calls(&tokens)
                .into_iter()
                .map(|line| (line, sleeps::RULE)),
        );
        needs.extend(
            unwraps::calls(&tokens)
                .into_iter()
                .map(|(line, _)| (line, unwraps::RULE)),
        );
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some((before, mark)) = line.split_once(SIGN) else {
                continue;
            };
            let mut parts = mark.splitn(2, ':');
            let (rule, reason) = (parts.next().unwrap_or_default(), parts.next());
            if reason.is_none_or(|reason| reason.trim().len() < 10) {
                findings.push(Finding::at(
                    path,
                    index + 1,
                    "an exception without a reason",
                ));
            }
            // Beside the code, or above it with more comment between.
            let excuses = if before.trim().is_empty() {
                let comment = |line: &&&str| line.trim_start().starts_with("//");
                index + 1 + lines.iter().skip(index).take_while(comment).count()
            } else {
                index + 1
            };
            if !needs.contains(&(excuses, rule)) {
                findings.push(Finding::at(
                    path,
                    index + 1,
                    "this exception excuses nothing",
                ));
            }
        }
    }
    findings.into()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        check(&Tree::of([("crates/a/src/b.rs", text)]))
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn marks_stand_beside_or_above() {
        let beside = format!("sleep(x); {SIGN}sleep: the peer is slow by design");
        assert!(excused(&beside, 1, "sleep") && !excused(&beside, 1, "expect"));
        let above = format!("{SIGN}sleep: the peer is slow\n// by design\nsleep(x);\nsleep(y);");
        assert!(excused(&above, 3, "sleep") && !excused(&above, 4, "sleep"));
        assert!(findings(&format!("fn f() {{ {above}\n}}").replace("{ //", "{\n//")).is_empty());
        assert!(findings(&format!("fn f() {{ {beside}\n}}")).is_empty());
    }

    #[test]
    fn marks_need_a_reason_and_a_use() {
        let text = format!("fn f() {{\n{SIGN}sleep: so\nsleep(x);\n}}");
        assert_eq!(
            findings(&text),
            ["crates/a/src/b.rs:2: an exception without a reason"]
        );
        let text = format!("fn f() {{\n{SIGN}expect: a constant that parses\nsleep(x);\n}}");
        assert_eq!(
            findings(&text),
            ["crates/a/src/b.rs:2: this exception excuses nothing"]
        );
    }
}
