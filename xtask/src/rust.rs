//! Rust text read into tokens: enough to count braces and find words without being fooled by comments and strings.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword.
    Word,
    /// A string literal of any sort; its text is what stands between the quotes, escapes unresolved.
    Text,
    /// A number literal.
    Number,
    /// A single sign.
    Sign,
}

/// One token and the line on which it begins, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// How it reads.
    pub text: String,
    /// Where it begins.
    pub line: usize,
    /// Whether it stands in a test: in a test file, or below `#[cfg(test)]`.
    pub in_test: bool,
}

impl Token {
    /// Whether this is the name, keyword or sign `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text == text
    }
}

/// A Rust file.
pub struct Source {
    /// Its tokens, without comments.
    pub tokens: Vec<Token>,
    /// Its lines, without those of `#[cfg(test)]` items.
    pub lines_without_tests: usize,
}

impl Source {
    /// Reads a file; `path` says whether all of it is a test.
    pub fn read(path: &str, text: &str) -> Self {
        let mut tokens = Reader::tokens(text);
        let lines = text.lines().count();
        if is_test_path(path) {
            tokens.iter_mut().for_each(|token| token.in_test = true);
            return Self { tokens, lines_without_tests: 0 };
        }
        let test_lines = mark_tests(&mut tokens);
        Self { tokens, lines_without_tests: lines.saturating_sub(test_lines) }
    }

    /// Where the words and signs of `pattern` (set apart by spaces) follow each other.
    pub fn find<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = usize> + 'a {
        let wanted: Vec<&str> = pattern.split(' ').collect();
        let starts = 0..(self.tokens.len() + 1).saturating_sub(wanted.len());
        starts.filter(move |&start| wanted.iter().zip(&self.tokens[start..]).all(|(want, token)| token.is(want)))
    }

    /// The index of the bracket that closes the one at `open`; the last token where none does.
    pub fn closing(&self, open: usize) -> usize {
        closing(&self.tokens, open)
    }

    /// The functions outside tests: name, first line and number of lines from `fn` to the closing brace.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let named = self.find("fn").filter(|&at| !self.tokens[at].in_test);
        named.filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<(String, usize, usize)> {
        let name = self.tokens.get(at + 1).filter(|token| token.kind == Kind::Word)?;
        let mut body = at + 2;
        // The body is the first brace; brackets before it (arguments, arrays in types) are stepped over, `;` means there is none.
        loop {
            match self.tokens.get(body)?.text.as_str() {
                "{" => break,
                ";" => return None,
                "(" | "[" => body = self.closing(body) + 1,
                _ => body += 1,
            }
        }
        let last = self.tokens[self.closing(body)].line;
        Some((name.text.clone(), name.line, last - self.tokens[at].line + 1))
    }
}

/// Whether a whole file is a test by its place: `tests.rs`, or anything in a folder `tests`.
pub fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open).filter(|(_, token)| token.kind == Kind::Sign) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// Marks what `#[cfg(test)]` covers and returns how many lines that is.
fn mark_tests(tokens: &mut [Token]) -> usize {
    let mut lines = 0;
    let mut at = 0;
    while at + 6 < tokens.len() {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
        if !attribute.iter().zip(&tokens[at..]).all(|(want, token)| token.is(want)) {
            at += 1;
            continue;
        }
        let mut last = at + attribute.len();
        while last < tokens.len() && !tokens[last].is("{") && !tokens[last].is(";") {
            last += 1;
        }
        last = if last < tokens.len() && tokens[last].is("{") { closing(tokens, last) } else { last.min(tokens.len() - 1) };
        lines += tokens[last].line - tokens[at].line + 1;
        tokens[at..=last].iter_mut().for_each(|token| token.in_test = true);
        at = last + 1;
    }
    lines
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl<'a> Reader<'a> {
    fn tokens(text: &'a str) -> Vec<Token> {
        let mut reader = Self { rest: text, line: 1, tokens: Vec::new() };
        while let Some(sign) = reader.rest.chars().next() {
            reader.step(sign);
        }
        reader.tokens
    }

    fn step(&mut self, sign: char) {
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.take(block_comment_length(self.rest));
        } else if let Some((hashes, prefix)) = raw_string(self.rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = self.rest[prefix..].find(&end).unwrap_or(self.rest.len() - prefix);
            self.push(Kind::Text, prefix..prefix + inside, (prefix + inside + end.len()).min(self.rest.len()));
        } else if sign == '"' || self.rest.starts_with("b\"") || self.rest.starts_with("c\"") {
            let open = self.rest.find('"').unwrap_or(0) + 1;
            let inside = quoted_length(&self.rest[open..], '"');
            self.push(Kind::Text, open..open + inside, (open + inside + 1).min(self.rest.len()));
        } else if let Some(length) = character_length(self.rest) {
            self.take(length);
        } else if sign.is_ascii_digit() {
            let length = span(self.rest, |sign| sign.is_alphanumeric() || sign == '_');
            self.push(Kind::Number, 0..length, length);
        } else if sign.is_alphabetic() || sign == '_' {
            let length = span(self.rest, |sign| sign.is_alphanumeric() || sign == '_');
            self.push(Kind::Word, 0..length, length);
        } else if sign.is_whitespace() {
            self.take(sign.len_utf8());
        } else {
            self.push(Kind::Sign, 0..sign.len_utf8(), sign.len_utf8());
        }
    }

    fn push(&mut self, kind: Kind, text: std::ops::Range<usize>, length: usize) {
        self.tokens.push(Token { kind, text: self.rest[text].to_owned(), line: self.line, in_test: false });
        self.take(length);
    }

    fn take(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

fn span(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|sign| !inside(sign)).unwrap_or(text.len())
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The number of hashes and the length of what stands before the text of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let after = ["br", "cr", "r"].into_iter().find(|start| text.starts_with(start))?.len();
    let hashes = span(&text[after..], |sign| sign == '#');
    text[after + hashes..].starts_with('"').then_some((hashes, after + hashes + 1))
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in text.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; none for a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'').or_else(|| text.strip_prefix("b'"))?;
    let open = text.len() - inside.len();
    let first = inside.chars().next()?;
    let is_literal = first == '\\' || inside[first.len_utf8()..].starts_with('\'');
    is_literal.then(|| open + quoted_length(inside, '\'') + 1)
}

#[cfg(test)]
mod tests;
