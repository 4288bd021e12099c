//! Whatever bytes come, and however they are cut: no panic, bounded memory, one verdict.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::conversation::{LIMITS, any_conversation, bytes_of, legal_conversation};
use super::*;

/// Cuts the bytes at the given places.
pub(super) fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

fn check_cuts_make_no_difference(bytes: &[u8], cuts: &[Index]) {
    let whole = decode_pieces(LIMITS, [bytes]);
    assert_eq!(decode_pieces(LIMITS, bytes.chunks(1)), whole, "byte by byte");
    assert_eq!(decode_pieces(LIMITS, pieces(bytes, cuts)), whole, "in {} pieces", cuts.len() + 1);
}

proptest! {
    #[test]
    fn any_bytes_get_one_verdict_however_they_are_cut(bytes in vec(any::<u8>(), 0..300), cuts in vec(any::<Index>(), 0..8)) {
        check_cuts_make_no_difference(&bytes, &cuts);
    }

    #[test]
    fn any_conversation_gets_one_verdict_however_it_is_cut(
        frames in any_conversation(),
        cuts in vec(any::<Index>(), 0..8),
        noise in proptest::option::of((any::<Index>(), any::<u8>())),
        end in any::<Index>(),
    ) {
        let mut bytes = bytes_of(&frames);
        if let Some((at, byte)) = noise && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_cuts_make_no_difference(&bytes, &cuts);
        check_cuts_make_no_difference(&bytes[..end.index(bytes.len() + 1)], &cuts);
    }

    #[test]
    fn a_conversation_that_keeps_the_rules_is_understood_word_by_word(said in legal_conversation()) {
        let expect = Outcome { messages: said.messages, violation: None };
        assert_eq!(decode_pieces(LIMITS, [&bytes_of(&said.frames)[..]]), expect);
    }
}
