//! Globs: `*` stands for any text, also none, and `?` for any one character; everything else for itself.
//!
//! Owns the one meaning of a pattern in queries, policy sets and settings of the host. Any room may enter; it does no
//! I/O. Upper and lower case differ, and nothing escapes: names have neither `*` nor `?`.

/// Whether the whole of `text` fits `pattern`. Takes at most `pattern.len() * text.len()` steps and no memory.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to try again: what follows the last `*`, and the text it would start from.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let text_before = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = text_before;
                retry = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            // Giving the last `*` more would leave even less.
            (Some(_), None) => return false,
            _ => {
                let Some((after_star, from)) = &mut retry else { return false };
                // The last `*` takes one character more.
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (after_star.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_text_or_not_at_all() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "anything", true),
            ("web", "web", true),
            ("web", "webs", false),
            ("web", "Web", false),
            ("web-*", "web-", true),
            ("web-*", "web-12", true),
            ("*-12", "web-12", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("?", "ü", true),
            ("*ab", "aab", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("*a?c*", "xxabcx", true),
            ("a*", "", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "`{pattern}` on `{text}`");
        }
    }

    /// The meaning, written as slowly and plainly as possible.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| plainly(rest, &text[taken..])),
            (['?', rest @ ..], [_, others @ ..]) => plainly(rest, others),
            ([wanted, rest @ ..], [found, others @ ..]) => wanted == found && plainly(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_it_plainly_means(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), plainly(&chars(&pattern), &chars(&text)));
        }
    }
}
