//! The operations that a holder names in its refusals, as texts that live as long as the program.
//!
//! Owns them. Only `talk` enters.

/// Texts kept at most: the holder's program has some dozens.
const MOST: usize = 256;
/// Bytes of one text at most.
const LONGEST: usize = 128;

/// Known operations. They are never freed, so their number and length are bounded.
#[derive(Default)]
pub(super) struct Words(Vec<&'static str>);

impl Words {
    /// The text that reads the same.
    pub(super) fn lasting(&mut self, text: &str) -> &'static str {
        if let Some(known) = self.0.iter().find(|known| **known == text) {
            return known;
        }
        if self.0.len() >= MOST || text.len() > LONGEST {
            return "make a run of";
        }
        let lasting: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.0.push(lasting);
        lasting
    }
}
