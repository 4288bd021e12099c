//! HMAC secrets: refuses those that somebody else can guess, before a token is ever signed with them.
//!
//! The published lists of leaked secrets are not embedded; this looks for what makes a secret guessable: words, patterns,
//! repetition, too little of anything. A random secret that was leaked cannot be told from one that was not.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The shortest accepted secret, in bytes (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// The least estimated guessing work: 32 random hex digits, the least that the tools' documentation suggests, come out above 100.
const ESTIMATED_BITS_MIN: f64 = 80.0;
const DISTINCT_BYTES_MIN: usize = 8;
/// What a repetition, a sequence or a keyboard row costs to guess, however long it is.
const PATTERN_BITS: f64 = 6.0;
const PATTERN_BYTES_MIN: usize = 3;

/// Typed words, spelled without separators and with leet digits read as letters. Six letters at least: shorter ones would meet
/// one random secret in some thousand.
const TYPED_WORDS: [&str; 52] = [
    "secret",
    "passwd",
    "password",
    "passphrase",
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "default",
    "insecure",
    "example",
    "django",
    "flask",
    "privatekey",
    "signingkey",
    "accesskey",
    "masterkey",
    "apikey",
    "tokenkey",
    "jwtkey",
    "mykey",
    "yourkey",
    "placeholder",
    "insertyour",
    "yourown",
    "qwerty",
    "letmein",
    "develop",
    "production",
    "staging",
    "localhost",
    "testing",
    "webtoken",
    "jsonweb",
    "loremipsum",
    "undefined",
    "supersafe",
    "strong",
    "random",
    "secure",
    "application",
    "authentication",
    "company",
    "please",
    "welcome",
    "football",
    "iloveyou",
    "security",
    "securite",
    "string",
    "encrypt",
];
const KEYBOARD_ROWS: [&[u8]; 4] = [b"1234567890", b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];
/// The commonest pairs of letters in European prose; they make up half of it, and about an eleventh of random letters.
const PROSE_PAIRS: &[u8] =
    b"thheineranreonatenndtiesoroftedisitalarsttontngseasouhahiasisouiolerocodemetavecenehlslachmaelraosiomriicwiveilro";
const PHRASE_WORDS_MIN: usize = 4;
const PROSE_PAIRS_MIN: usize = 24;
/// The share of common pairs from which a text reads like words; text without any digit is suspect earlier.
const PROSE_SHARE_MAX: f64 = 0.42;
const PROSE_SHARE_MAX_WITHOUT_DIGITS: f64 = 0.28;
/// Pieces of what allkeysgenerator.com hands to everybody: a walk over the keyboard with few variations.
const WELL_KNOWN_PIECES: [&str; 8] = ["y$B&E", "z$B&E", "z$C&F", "w!z%C", "x!A%D", "x/A?D", "x/A%D", "y/B?E"];

/// Whether a secret that is too weak stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRule {
    /// Weak secrets are refused: everywhere but under `--dev`.
    Strong,
    /// Any secret will do; only for `--dev`, which binds loopback alone.
    AnyForDev,
}

/// Why a secret is refused, as the end of a sentence for the operator; never quotes the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; make one with `openssl rand -base64 48`")]
pub struct WeakSecret(&'static str);

/// Refuses a secret that is short or can be guessed.
///
/// # Errors
/// Says what is wrong with it and how to make a good one.
pub fn check(secret: &[u8]) -> Result<(), WeakSecret> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(WeakSecret("it is shorter than 32 bytes"));
    }
    check_guessable(secret)?;
    // `MTIzNDU2…` looks random and says `123456…`: what decodes to readable text has to stand by itself.
    match readable_text(secret) {
        Some(text) => check_guessable(&text).map_err(|_| WeakSecret("it is base64 or hex of a text that can be guessed")),
        None => Ok(()),
    }
}

fn check_guessable(secret: &[u8]) -> Result<(), WeakSecret> {
    if distinct_bytes(secret) < DISTINCT_BYTES_MIN {
        return Err(WeakSecret("it has fewer than 8 different characters"));
    }
    if is_uuid(secret) {
        return Err(WeakSecret(
            "it is a UUID, of which a part is fixed and often the rest is predictable (RFC 9562 section 8)",
        ));
    }
    if secret.starts_with(b"eyJ") && secret.contains(&b'.') {
        return Err(WeakSecret("it is a token, not a secret"));
    }
    if secret.starts_with(b"<") && secret.ends_with(b">") {
        return Err(WeakSecret("it is a placeholder in angle brackets"));
    }
    let plain = without_leet(secret);
    if TYPED_WORDS.iter().any(|word| contains(&plain, word.as_bytes())) {
        return Err(WeakSecret(
            "it holds a word that people type into such a place (like `secret`, `changeme`, `django-insecure`)",
        ));
    }
    if WELL_KNOWN_PIECES.iter().any(|piece| contains(secret, piece.as_bytes())) {
        return Err(WeakSecret("it comes from a web page that gives everybody the same"));
    }
    if is_phrase(secret) {
        return Err(WeakSecret("it is a phrase"));
    }
    let has_digit = secret.iter().any(u8::is_ascii_digit);
    if prose_share(secret) >= if has_digit { PROSE_SHARE_MAX } else { PROSE_SHARE_MAX_WITHOUT_DIGITS } {
        return Err(WeakSecret("it reads like words"));
    }
    if estimated_bits(secret) < ESTIMATED_BITS_MIN {
        return Err(WeakSecret("it is made of repetitions, sequences or too few different characters"));
    }
    Ok(())
}

/// Bits of guessing work: patterns cost little whatever their length, every other byte what its alphabet costs.
fn estimated_bits(secret: &[u8]) -> f64 {
    let folded = secret.to_ascii_lowercase();
    let byte_bits = alphabet_bits(secret).min(shannon_bits(secret));
    let (mut bits, mut position) = (0.0, 0);
    while position < folded.len() {
        let length = pattern_length(&folded, position);
        if length >= PATTERN_BYTES_MIN {
            bits += PATTERN_BITS;
            position += length;
        } else {
            bits += byte_bits;
            position += 1;
        }
    }
    bits
}

/// The longest stretch from `position` that goes up, down or stays, walks along a keyboard row, or was there before.
fn pattern_length(folded: &[u8], position: usize) -> usize {
    let rest = &folded[position..];
    let walk =
        [-1, 0, 1].map(|step| 1 + rest.windows(2).take_while(|pair| i16::from(pair[1]) - i16::from(pair[0]) == step).count());
    let row = KEYBOARD_ROWS.map(|row| {
        let place = |byte: u8| row.iter().position(|key| *key == byte);
        1 + rest
            .windows(2)
            .take_while(|pair| matches!((place(pair[0]), place(pair[1])), (Some(a), Some(b)) if a.abs_diff(b) == 1))
            .count()
    });
    let repeated = (0..position)
        .map(|earlier| rest.iter().zip(&folded[earlier..]).take_while(|(now, before)| now == before).count())
        .max()
        .unwrap_or(0);
    walk.into_iter().chain(row).fold(repeated, usize::max)
}

/// Bits of one byte, by the smallest usual alphabet that holds the whole secret.
fn alphabet_bits(secret: &[u8]) -> f64 {
    let size = if secret.iter().all(u8::is_ascii_digit) {
        10.0
    } else if secret.iter().all(u8::is_ascii_hexdigit) {
        16.0
    } else if secret.iter().all(u8::is_ascii_lowercase) || secret.iter().all(u8::is_ascii_uppercase) {
        26.0
    } else {
        64.0_f64
    };
    size.log2()
}

fn shannon_bits(secret: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in secret {
        counts[usize::from(*byte)] += 1;
    }
    let length = secret.len() as f64;
    counts.iter().filter(|count| **count != 0).map(|count| f64::from(*count) / length).map(|share| -share * share.log2()).sum()
}

fn distinct_bytes(secret: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in secret {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count()
}

fn is_uuid(secret: &[u8]) -> bool {
    let inner = secret.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or(secret);
    let is_shape =
        |(place, byte): (usize, &u8)| if [8, 13, 18, 23].contains(&place) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    inner.len() == 36 && inner.iter().enumerate().all(is_shape)
}

/// Letters alone, in lower case, with the usual digits and signs read as the letters they stand for.
fn without_leet(secret: &[u8]) -> Vec<u8> {
    let letter = |byte: &u8| match byte {
        b'0' => Some(b'o'),
        b'1' | b'!' => Some(b'i'),
        b'3' => Some(b'e'),
        b'4' | b'@' => Some(b'a'),
        b'5' | b'$' => Some(b's'),
        byte if byte.is_ascii_alphabetic() => Some(byte.to_ascii_lowercase()),
        _ => None,
    };
    secret.iter().filter_map(letter).collect()
}

/// Four words or more, each in one case or with a capital, and nothing but usual separators between them.
fn is_phrase(secret: &[u8]) -> bool {
    let words: Vec<&[u8]> = secret.split(|byte| b" -_.,;:!?'".contains(byte)).filter(|word| !word.is_empty()).collect();
    let is_word = |word: &&[u8]| {
        word.iter().all(u8::is_ascii_alphabetic)
            && (word[1..].iter().all(u8::is_ascii_lowercase) || word.iter().all(u8::is_ascii_uppercase))
    };
    words.len() >= PHRASE_WORDS_MIN && words.iter().all(is_word)
}

/// Of the neighbouring letters, the share that is a common pair; zero where there are too few letters to say.
fn prose_share(secret: &[u8]) -> f64 {
    let folded = secret.to_ascii_lowercase();
    let is_letters = |pair: &&[u8]| pair.iter().all(u8::is_ascii_lowercase);
    let pairs = folded.windows(2).filter(is_letters).count();
    let hits = folded.windows(2).filter(|pair| PROSE_PAIRS.chunks_exact(2).any(|common| common == *pair)).count();
    if pairs < PROSE_PAIRS_MIN { 0.0 } else { hits as f64 / pairs as f64 }
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}

/// The printable text that the secret is base64 or hex of, if it is.
fn readable_text(secret: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(secret).ok()?.trim_end_matches('=');
    let from_hex = || {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
        digits.map(|digits| digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect::<Vec<u8>>())
    };
    let decodings = [from_hex(), STANDARD_NO_PAD.decode(text).ok(), URL_SAFE_NO_PAD.decode(text).ok()];
    let is_readable = |bytes: &Vec<u8>| bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    decodings.into_iter().flatten().find(is_readable)
}
