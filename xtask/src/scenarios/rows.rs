//! The ids of the page.

/// The ids of all rows, in their order; an id that stands twice is an error.
pub(super) fn of(page: &str) -> Result<Vec<String>, String> {
    let mut rows: Vec<String> = Vec::new();
    for line in page.lines() {
        let Some(id) = line
            .strip_prefix("| ")
            .and_then(|rest| rest.split(' ').next())
        else {
            continue;
        };
        if !is_id(id) {
            continue;
        }
        if rows.iter().any(|row| row == id) {
            return Err(format!("{} stands twice", id));
        }
        rows.push(id.to_owned());
    }
    if rows.is_empty() {
        return Err("the page has no rows".to_owned());
    }
    rows.sort();
    Ok(rows)
}

/// Whether it is a letter of a table and two digits.
pub(super) fn is_id(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|letter| "CLHT".contains(letter))
        && text.len() == 3
        && chars.all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn ids_of_table_rows_only() {
        let page = "| id | scenario |\n| --- | --- |\n| L02 | b, as C07 |\n| C01 | a |\nC03 | no\n";
        assert_eq!(of(page), Ok(vec!["C01".to_owned(), "L02".to_owned()]));
        assert_eq!(
            of("| C01 | a |\n| C01 | b |"),
            Err("C01 stands twice".to_owned())
        );
        assert!(of("nothing").is_err());
    }
}
