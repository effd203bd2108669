//! Quoting, once, here: words for an argv, and bytes for the builtin `printf`.

use std::borrow::Cow;

/// Bytes of a `printf` format before it is split: pieces keep old shells within their buffers.
const PIECE: usize = 8 << 10;

/// One shell word; `None` when it holds a NUL, which no argv can carry.
pub(super) fn word(text: &str) -> Option<Cow<'_, str>> {
    shlex::try_quote(text).ok()
}

/// An argv as shell words.
pub(super) fn words<'a>(argv: impl IntoIterator<Item = &'a str>) -> Option<String> {
    shlex::try_join(argv).ok()
}

/// Appends a command group that prints exactly these bytes, in plain ASCII.
pub(super) fn print(script: &mut Vec<u8>, bytes: &[u8]) {
    script.extend_from_slice(b"{ ");
    for piece in bytes.chunks(PIECE) {
        script.extend_from_slice(b"printf '");
        for (at, byte) in piece.iter().enumerate() {
            literal(script, *byte, at == 0);
        }
        script.extend_from_slice(b"'; ");
    }
    script.extend_from_slice(b":; }");
}

/// How long [`print`]'s text is at most.
pub(super) fn printed_len(bytes: &[u8]) -> usize {
    let plain = bytes.iter().filter(|byte| is_plain(**byte)).count();
    plain + (bytes.len() - plain) * 4 + (bytes.len() / PIECE + 2) * 16
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\' | b'%')
}

/// A leading dash would be taken for an option.
fn literal(script: &mut Vec<u8>, byte: u8, first: bool) {
    match byte {
        b'%' => script.extend_from_slice(b"%%"),
        b'\\' => script.extend_from_slice(b"\\\\"),
        b'\n' => script.extend_from_slice(b"\\n"),
        b'-' if first => script.extend_from_slice(b"\\055"),
        plain if is_plain(plain) => script.push(plain),
        odd => script.extend([
            b'\\',
            b'0' + (odd >> 6),
            b'0' + (odd >> 3 & 7),
            b'0' + (odd & 7),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(bytes: &[u8]) -> String {
        let mut script = Vec::new();
        print(&mut script, bytes);
        assert!(script.len() <= printed_len(bytes));
        String::from_utf8(script).unwrap()
    }

    #[test]
    fn odd_bytes_become_octal_and_a_leading_dash_is_no_option() {
        assert_eq!(
            printed(b"-a%'\\\n\0\xff1"),
            r"{ printf '\055a%%\047\\\n\000\3771'; :; }"
        );
        assert_eq!(printed(b""), "{ :; }");
    }

    #[test]
    fn a_nul_cannot_be_a_word() {
        assert_eq!(word("a\0b"), None);
        assert_eq!(words(["a", "b c"]).as_deref(), Some("a 'b c'"));
    }
}
