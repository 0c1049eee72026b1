//! What is wrong with a TOML file, told as file, line, key and the nearest right key.
//!
//! Pure text; entered by whoever reads a policy set.

use std::ops::Range;
use std::path::Path;

/// One sentence for a person: `path:line:column: what is wrong`. `message` and `span` are the parser's; when it names
/// an unknown key, the nearest known one is suggested.
pub(super) fn explain(path: &Path, text: &str, message: &str, span: Option<Range<usize>>) -> String {
    let place = span.map_or_else(String::new, |span| {
        let before = &text[..text.floor_char_boundary(span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!(":{line}:{column}")
    });
    let message = message.trim().replace('\n', "; ");
    let hint = nearest(&message).map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
    format!("{}{place}: {message}{hint}", path.display())
}

/// The known key that is most like the unknown one that `message` complains about.
///
/// serde's text is ``unknown field `x`, expected one of `a`, `b` `` (or ``unknown variant``).
pub(super) fn nearest(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= known.len().max(3) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_unlike_every_other_gets_no_suggestion() {
        assert_eq!(nearest("unknown field `zzzzzzzz`, expected `plugin` or `mode`"), None);
        assert_eq!(nearest("unknown field `plugn`, expected `plugin` or `mode`"), Some("plugin"));
    }

    #[test]
    fn the_place_counts_lines_and_characters_from_one() {
        let text = "a = 1\nä = 2\n";
        assert_eq!(explain(Path::new("f"), text, "bad", Some(11..12)), "f:2:5: bad");
    }
}
