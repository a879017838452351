use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    Shown::from(text).to_string()
}

#[test]
fn what_languages_and_emoji_need_is_shown_as_it_is() {
    for text in [
        "plain",
        "",
        "two\nlines\twith a tab",
        "Ärztin, naïve, Đặng Thị Hường",
        "تم نقل المريض إلى الغرفة 12 (MRI في الساعة 14:30)",
        "می\u{200C}خواهم",
        "क्\u{200D}ष",
        "ភាសា\u{200B}ខ្មែរ",
        "שלום \u{200F}(12)\u{200E}",
        "\u{202A}C:\\scans\u{202C}",
        "\u{2068}Amina\u{2069} and \u{2067}אמינה\u{2069}",
        "\u{61C}12",
        "👩🏽\u{200D}⚕\u{FE0F} 1\u{FE0F}\u{20E3} 👨\u{200D}👩\u{200D}👧",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} and on",
        "葛\u{E0100}飾区",
        "ᠮᠣᠩ\u{180B}ᠭᠣᠯ",
        "co\u{AD}operate\u{2060}d",
        "e\u{301}",
    ] {
        assert_eq!(shown(text), text, "{}", text.escape_unicode());
    }
}

#[test]
fn what_turns_round_or_hides_is_written_out() {
    for (text, expected) in [
        ("dose\u{202E}gm 01", "dose[U+202E]gm 01"),
        ("\u{202D}x", "[U+202D]x"),
        ("Amina\u{3164}", "Amina[U+3164]"),
        ("a\u{1b}[31mb\u{7f}\u{9b}", "a[U+001B][31mb[U+007F][U+009B]"),
        ("a\u{2063}\u{206A}", "a[U+2063][U+206A]"),
        ("\u{FEFF}x", "[U+FEFF]x"),
        ("x\u{E0041}\u{E0042}", "x[U+E0041][U+E0042]"),
        ("🏴\u{E0067}\u{E0062}x", "🏴[U+E0067][U+E0062]x"),
        ("a\u{FE0F}\u{FE0F}\u{E0101}", "a\u{FE0F}[U+FE0F][U+E0101]"),
        ("\u{FE0F}", "[U+FE0F]"),
        ("\u{FFFF}\u{FDD0}", "[U+FFFF][U+FDD0]"),
    ] {
        assert_eq!(shown(text), expected, "{}", text.escape_unicode());
    }
}

#[test]
fn a_flag_of_any_length_cannot_carry_text() {
    let smuggled: String = "pw".chars().cycle().take(20).map(|c| char::from_u32(0xE0000 + c as u32).unwrap()).collect();
    let text = shown(&format!("\u{1F3F4}{smuggled}\u{E007F}"));
    assert_eq!(text.matches("[U+E00").count(), 21, "{text}");
}

/// Characters of every kind, the unusual ones often.
fn any_text() -> impl Strategy<Value = String> {
    let unusual = prop_oneof![
        Just('\u{202E}'),
        Just('\u{1F3F4}'),
        Just('\u{E007F}'),
        proptest::char::range('\u{E0020}', '\u{E007A}'),
        proptest::char::range('\u{FE00}', '\u{FE0F}'),
        proptest::char::range('\u{2000}', '\u{206F}'),
        proptest::char::range('\0', '\u{9F}'),
        any::<char>(),
    ];
    proptest::collection::vec(unusual, 0..40).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    /// Whatever was typed: nothing turns round or hides, what is shown twice is shown once, and what was written out can be
    /// read back.
    #[test]
    fn nothing_deceives_once_it_is_shown(text in any_text()) {
        let seen = shown(&text);
        let deceivers = ['\u{202D}', '\u{202E}', '\u{3164}', '\0', '\u{1b}', '\u{9b}', '\u{FEFF}'];
        prop_assert!(!seen.contains(deceivers));
        prop_assert_eq!(&shown(&seen), &seen);
        let mut back = seen.clone();
        for c in text.chars() {
            back = back.replace(&format!("[U+{:04X}]", u32::from(c)), &c.to_string());
        }
        prop_assert_eq!(back, text);
    }
}
