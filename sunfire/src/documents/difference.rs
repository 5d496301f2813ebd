//! Two texts line by line: what is only in one, what only in the other, and a little of what surrounds it.

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Beyond so many pairs of differing lines the whole stretch is shown as replaced: to compare them would take seconds.
const PAIRS_MAX: usize = 16 << 20;

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Removed,
    Added,
}

/// The difference of two texts, each line behind ` `, `-` or `+`; empty if they are the same.
pub fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let lines = aligned(&before, &after);
    let is_near = |at: usize| {
        let around = &lines[at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len())];
        around.iter().any(|(fate, _)| *fate != Fate::Kept)
    };
    let mut told = String::new();
    let mut was_near = true;
    for (at, (fate, line)) in lines.iter().enumerate() {
        let near = is_near(at);
        if near {
            if !was_near {
                told.push_str("  …\n");
            }
            let sign = match fate {
                Fate::Kept => ' ',
                Fate::Removed => '-',
                Fate::Added => '+',
            };
            told.push_str(&format!("{sign} {line}\n"));
        }
        was_near = near;
    }
    told
}

/// All lines in an order that has both texts': by a longest common subsequence of what is between their common ends.
fn aligned<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<(Fate, &'t str)> {
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = before.iter().zip(after).take_while(same).count();
    let (before_rest, after_rest) = (&before[head..], &after[head..]);
    let tail = before_rest
        .iter()
        .rev()
        .zip(after_rest.iter().rev())
        .take_while(same)
        .count();
    let (removed, added) = (
        &before_rest[..before_rest.len() - tail],
        &after_rest[..after_rest.len() - tail],
    );
    let kept = |line: &&'t str| (Fate::Kept, *line);
    let mut lines: Vec<(Fate, &str)> = before[..head].iter().map(kept).collect();
    between(removed, added, &mut lines);
    lines.extend(before_rest[before_rest.len() - tail..].iter().map(kept));
    lines
}

fn between<'t>(removed: &[&'t str], added: &[&'t str], lines: &mut Vec<(Fate, &'t str)>) {
    let (rows, columns) = (removed.len() + 1, added.len() + 1);
    let is_comparable = rows.saturating_mul(columns) <= PAIRS_MAX;
    // Longest common subsequences of what begins at each pair.
    let mut lengths = vec![0u32; if is_comparable { rows * columns } else { 0 }];
    if is_comparable {
        for (row, one) in removed.iter().enumerate().rev() {
            for (column, other) in added.iter().enumerate().rev() {
                lengths[row * columns + column] = match one == other {
                    true => lengths[(row + 1) * columns + column + 1] + 1,
                    false => lengths[(row + 1) * columns + column].max(lengths[row * columns + column + 1]),
                };
            }
        }
    }
    let length = |row: usize, column: usize| lengths.get(row * columns + column).copied().unwrap_or(0);
    let (mut row, mut column) = (0, 0);
    while row < removed.len() || column < added.len() {
        let both = (removed.get(row), added.get(column));
        match both {
            (Some(one), Some(other)) if is_comparable && one == other => {
                lines.push((Fate::Kept, one));
                (row, column) = (row + 1, column + 1);
            }
            (Some(one), None) => {
                lines.push((Fate::Removed, one));
                row += 1;
            }
            (Some(one), Some(_)) if length(row + 1, column) >= length(row, column + 1) => {
                lines.push((Fate::Removed, one));
                row += 1;
            }
            (_, Some(other)) => {
                lines.push((Fate::Added, other));
                column += 1;
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn a_change_is_shown_with_its_surroundings() {
        assert_eq!(difference("a\nb\nc\n", "a\nb\nc\n"), "");
        assert_eq!(difference("", "a\nb\n"), "+ a\n+ b\n");
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
        let lines = |changed: &[u32]| {
            (0..20).fold(String::new(), |mut text, line| {
                let mark = if changed.contains(&line) { "!" } else { "" };
                writeln!(text, "{line}{mark}").expect("a text");
                text
            })
        };
        let expected = "- 0\n+ 0!\n  1\n  2\n  3\n  …\n  12\n  13\n  14\n- 15\n+ 15!\n  16\n  17\n  18\n";
        assert_eq!(difference(&lines(&[]), &lines(&[0, 15])), expected);
    }

    #[test]
    fn a_difference_leads_from_one_text_to_the_other() {
        let texts = ["a\nb\nc\nd", "b\nd\ne", "", "x\na\nb\nb\nc", "d\nc\nb\na"];
        for before in texts {
            for after in texts {
                let (one, other): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
                let lines = aligned(&one, &other);
                let without = |gone: Fate| -> Vec<&str> {
                    let stays = lines.iter().filter(|(fate, _)| *fate != gone);
                    stays.map(|(_, line)| *line).collect()
                };
                assert_eq!(
                    (without(Fate::Added), without(Fate::Removed)),
                    (one.clone(), other.clone())
                );
            }
        }
    }

    #[test]
    fn what_is_too_much_to_compare_is_shown_as_replaced() {
        let text = |from: u32| (from..from + 5000).fold(String::new(), |text, line| text + &line.to_string() + "\n");
        let told = difference(&text(0), &text(4999));
        assert_eq!(told.lines().filter(|line| line.starts_with('-')).count(), 5000);
    }
}
