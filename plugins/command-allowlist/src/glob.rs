//! Globs over paths: `?` is one character and `*` any number of them, neither of them a `/`; `**` is any number of any.

/// Whether the whole path matches.
///
/// What stands before the first wildcard is compared at once: of a long list most entries end here.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let (literal, rest) = pattern.split_at(pattern.find(['*', '?']).unwrap_or(pattern.len()));
    path.strip_prefix(literal).is_some_and(|path| matches_wild(rest, path))
}

/// `reached[n]` says whether the pattern so far matches the first `n` characters, so the time is bounded by the product
/// of the lengths and no pattern can make it slow.
fn matches_wild(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            any_number(&mut reached, &path, |_| true);
            rest = after;
        } else if first == '*' {
            any_number(&mut reached, &path, |c| c != '/');
            rest = &rest[1..];
        } else {
            exactly_one(&mut reached, &path, |c| if first == '?' { c != '/' } else { c == first });
            rest = &rest[first.len_utf8()..];
        }
    }
    reached[path.len()]
}

fn any_number(reached: &mut [bool], path: &[char], fits: impl Fn(char) -> bool) {
    for (place, &c) in path.iter().enumerate() {
        reached[place + 1] |= reached[place] && fits(c);
    }
}

fn exactly_one(reached: &mut [bool], path: &[char], fits: impl Fn(char) -> bool) {
    for (place, &c) in path.iter().enumerate().rev() {
        reached[place + 1] = reached[place] && fits(c);
    }
    reached[0] = false;
}
