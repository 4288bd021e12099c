//! The reader is not fooled by comments, strings, lifetimes and nested brackets.

use super::{Kind, Source};

fn words(text: &str) -> Vec<String> {
    let source = Source::read("src/a.rs", text);
    source.tokens.into_iter().filter(|token| token.kind == Kind::Word).map(|token| token.text).collect()
}

#[test]
fn comments_and_strings_hold_no_words() {
    assert_eq!(words("a // b\n/* c /* d */ e */ f \"g \\\" h\" i r#\"j \" k\"# l b\"m\" n"), ["a", "f", "i", "l", "n"]);
}

#[test]
fn a_lifetime_is_not_the_beginning_of_a_character() {
    assert_eq!(words("fn x<'a>(y: &'a str) { '{' ; '\\'' ; b'}' ; z }"), ["fn", "x", "a", "y", "a", "str", "z"]);
}

#[test]
fn a_function_is_counted_from_its_name_to_its_closing_brace() {
    let source = Source::read("src/a.rs", "fn one() {}\n\nfn two(a: [u8; 2]) -> bool\n{\n    let s = \"}\";\n}\nfn none();\n");
    assert_eq!(source.functions(), [("one".to_owned(), 1, 1), ("two".to_owned(), 3, 4)]);
}

#[test]
fn test_modules_do_not_count() {
    let source = Source::read("src/a.rs", "fn one() {}\n#[cfg(test)]\nmod tests {\n    fn two() {}\n}\n");
    assert_eq!((source.lines_without_tests, source.functions().len()), (1, 1));
    assert!(source.tokens.iter().all(|token| token.in_test == (token.line > 1)));
}

#[test]
fn a_test_file_is_all_test() {
    assert_eq!(Source::read("crates/a/src/tests.rs", "fn one() {}\n").lines_without_tests, 0);
}
