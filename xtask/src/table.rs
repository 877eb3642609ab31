//! Text tables: for the terminal, and for Markdown.

/// Rows with their columns aligned, two blanks apart.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Rows as a Markdown table whose first row is the head.
pub(crate) fn markdown<const N: usize>(rows: &[[String; N]]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!(" {cell:width$} |"));
        text += &format!("|{}\n", cells.collect::<String>());
        if number == 0 {
            text += &format!(
                "|{}\n",
                widths
                    .map(|width| format!("{}|", "-".repeat(width + 2)))
                    .concat()
            );
        }
    }
    text
}

fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a    bb\nccc  d\n");
        assert_eq!(
            markdown(&rows),
            "| a   | bb |\n|-----|----|\n| ccc | d  |\n"
        );
    }
}
