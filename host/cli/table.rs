//! Table: columns for the eye. Pure.
//!
//! Text from outside (event types, provider ids) goes through [`clean`], so that it cannot move the cursor
//! or fake a line of its own.

/// Lines with aligned columns; the last column is not padded. `rows` all have as many cells as `head`.
pub(crate) fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `text` with control characters made visible, cut to `chars_max` characters.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let mut clean: String = text
        .chars()
        .take(chars_max + 1)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if clean.chars().count() > chars_max {
        clean.pop();
        clean.pop();
        clean.push('\u{2026}');
    }
    clean
}

/// An age in one unit: `12s`, `5m`, `3h`, `9d`.
pub(crate) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ ..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["didit".to_owned(), "1".to_owned()],
            vec!["a".to_owned(), "22".to_owned()],
        ];
        assert_eq!(
            render(&["SOURCE", "N"], &rows),
            "SOURCE  N\ndidit   1\na       22\n"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\x1b[31m\nb", 20), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(clean("abcdef", 4), "abc\u{2026}");
        assert_eq!(clean("abcd", 4), "abcd");
    }

    #[test]
    fn ages_have_one_unit() {
        for (seconds, expected) in [
            (-3, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
