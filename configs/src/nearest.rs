//! The name somebody probably meant.

/// The candidate nearest to `name`, if near enough to be a slip of the finger: at most a third of its letters wrong,
/// case aside. Ties go to the candidate that stands first. Distance: Damerau–Levenshtein.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let bound = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= bound && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?` for the nearest candidate, else a list of them all, as a hint.
pub(crate) fn suggest<'a>(name: &str, what: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, candidates.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{what}: {}", candidates.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(name, ["count", "sum", "group by", "window", "p"]),
            expected,
            "{name}"
        );
    }

    #[test]
    fn the_nearest_name_is_found() {
        check("cuont", Some("count"));
        check("COUNT", Some("count"));
        check("sun", Some("sum"));
        check("windows", Some("window"));
        check("x", None);
        check("total", None);
        check("", None);
    }

    #[test]
    fn all_are_listed_when_none_is_near() {
        assert_eq!(suggest("zzz", "known", ["a", "b"]), "known: a, b");
    }
}
