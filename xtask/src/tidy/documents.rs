//! Documents stay short, and their tables can be read by the other checks.

use super::Finding;
use crate::house::House;

/// Lines that each of these may have.
const LINES_MAX: [(&str, usize); 2] = [("ARCHITECTURE.md", 150), ("README.md", 120)];

/// A row of a Markdown table.
pub struct Row {
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Its line, from 1.
    pub line: usize,
}

/// A cell's text without the space around it.
pub struct Cell(String);

impl Cell {
    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What stands in backticks.
    pub fn words(&self) -> Vec<String> {
        self.0.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
}

/// The rows of the tables between the heading that begins with `heading` and the next one, without the head of each table.
pub fn table_rows(text: &str, heading: &str) -> Vec<Row> {
    let lines = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with(heading)).skip(1);
    let mut rows: Vec<Row> = Vec::new();
    for (at, line) in lines.take_while(|(_, line)| !line.starts_with('#')) {
        let Some(inside) = line.trim().strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) else { continue };
        let cells: Vec<Cell> = inside.split('|').map(|cell| Cell(cell.trim().to_owned())).collect();
        if cells.iter().all(|cell| !cell.0.is_empty() && cell.0.chars().all(|sign| matches!(sign, '-' | ':'))) {
            // The line below a table's head: the row before it was the head.
            rows.pop();
        } else {
            rows.push(Row { cells, line: at + 1 });
        }
    }
    rows
}

/// Documents over their size.
pub fn check(house: &House) -> Vec<Finding> {
    let sized =
        LINES_MAX.iter().filter_map(|(path, lines_max)| Some((path, house.files.get(*path)?.lines().count(), lines_max)));
    sized
        .filter(|(_, lines, lines_max)| lines > lines_max)
        .map(|(path, lines, lines_max)| {
            Finding::new(path, *lines_max + 1, format!("{lines} lines, at most {lines_max}: cut, or move a part into docs/"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check as check_house;
    use super::{check, table_rows};

    #[test]
    fn a_long_readme_is_found() {
        check_house(check, &[("README.md", &"x\n".repeat(121))], &["README.md:121: 121 lines, at most 120"]);
        check_house(check, &[("README.md", &"x\n".repeat(120))], &[]);
    }

    #[test]
    fn a_table_is_read_without_its_head() {
        let rows = table_rows("# A\n| x |\n|---|\n| no |\n# B two\n| h | i |\n|:--|---|\n| `a`, `b` | 4 |\n# C\n", "# B");
        assert_eq!(
            (rows.len(), rows[0].line, rows[0].cells[0].words(), rows[0].cells[1].text()),
            (1, 8, vec!["a".into(), "b".into()], "4")
        );
    }
}
