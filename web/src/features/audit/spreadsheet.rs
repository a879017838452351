//! Cells of a CSV file that no spreadsheet runs.
//!
//! A spreadsheet takes a cell for a formula by its first character, in some languages by the full-width form of it. Which
//! characters end a cell is the opener's choice: where numbers have a decimal comma, it is the semicolon. So a formula is
//! broken, by an apostrophe before it, wherever one of those programs could see a cell begin.

/// The same text, nowhere the beginning of a formula.
pub(super) fn inert(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 1);
    let mut at_start = true;
    for c in text.chars() {
        if at_start && begins_formula(c) {
            cell.push('\'');
        }
        cell.push(c);
        at_start = ends_cell(c) || at_start && !store::is_visible(c.encode_utf8(&mut [0; 4]));
    }
    cell
}

fn begins_formula(c: char) -> bool {
    // A tab or line end at the beginning is dropped by some, and what follows begins the cell.
    matches!(
        c,
        '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{FF1D}' | '\u{FF0B}' | '\u{FF0D}' | '\u{FF20}' | '\u{FE62}'
            ..='\u{FE63}' | '\u{FE66}' | '\u{FE6B}' | '\u{2212}'
    )
}

fn ends_cell(c: char) -> bool {
    matches!(c, ';' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_cell_can_start_a_formula() {
        for cell in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            " =1",
            "\n=1",
            "\u{a0}=1",
            "\u{feff}=1",
            "\u{200b}@x",
            "＝1+1",
            "＋1",
            "－1",
            "＠SUM",
            "−1",
            "﹢1",
            "﹦1",
            "﹫x",
        ] {
            let inert = inert(cell);
            assert!(
                inert.trim_start_matches([' ', '\u{a0}', '\u{feff}', '\u{200b}']).starts_with('\''),
                "{cell:?}: {inert:?}"
            );
        }
        for cell in ["Amina", "", "a=b", "{\"message_id\":1}", "2026-11-22", "a@clinic.example", "one; two", "[1,-2]"] {
            assert_eq!(inert(cell), cell);
        }
    }

    #[test]
    fn another_separator_brings_no_formula_to_light() {
        assert_eq!(inert("Keller;=1+1"), "Keller;'=1+1");
        assert_eq!(inert("a;b; -2"), "a;b; '-2");
        assert_eq!(inert("a\t=1\n@x"), "a\t'=1\n'@x");
    }

    proptest! {
        /// Taken apart at any of the separators, no piece begins like a formula, and without the apostrophes it is the text.
        #[test]
        fn nowhere_does_a_formula_begin(text in "([=+@;,\\t\\r\\n\"' -]|＝|＠|x|\\PC){0,20}") {
            let cell = inert(&text);
            for piece in cell.split([';', '\t', '\r', '\n']) {
                let first = piece.chars().find(|c| store::is_visible(&c.to_string()));
                prop_assert!(!first.is_some_and(begins_formula), "{:?}", piece);
            }
            prop_assert_eq!(cell.replace('\'', ""), text.replace('\'', ""));
        }
    }
}
