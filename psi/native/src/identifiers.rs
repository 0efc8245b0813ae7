//! The normaliser of Chinese ID numbers (GB 11643), version `gb11643/1`.
//!
//! Both sides of a match must turn the same number into the same 18 bytes, so everything
//! here is a pure function of the text: no clock, no locale, no list that changes. The rules
//! are written down in docs/reference/identifiers.md; a change of any of them is a new version.

use unicode_normalization::UnicodeNormalization;

/// Bytes of a normalised number: 17 ASCII digits and a check character `0`–`9` or `X`.
pub const ITEM_BYTES: usize = 18;

/// Weights of the 17 digits and the check characters by remainder (GB 11643-1999 section 4.2,
/// ISO 7064 MOD 11-2).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_CHARACTERS: &[u8; 11] = b"10X98765432";

/// A number of a person alive or recently dead. Wider than any real list on purpose: whether
/// somebody is too old or not yet born is a question for whoever has a clock.
const YEARS: std::ops::RangeInclusive<u32> = 1800..=2099;

/// Longer texts (after trimming) are judged without folding: no number is that long.
const FOLDING_LIMIT: usize = 256;

/// What became of one text. Below [`Verdict::FIRST_REFUSED`] the number is usable.
/// The values are part of `gb11643/1` and mirrored by `psi.identifiers.Verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    Ok = 0,
    /// Usable; the first two digits name no province.
    OkUnknownPlace = 1,
    /// Usable; 15 digits were extended to 18.
    OkConverted15 = 2,
    Empty = 16,
    WrongLength = 17,
    BadCharacter = 18,
    BadDate = 19,
    BadCheck = 20,
    /// A spreadsheet turned the number into a floating-point one and lost its last digits.
    SpreadsheetDamaged = 21,
    /// 15 digits ending in 996–999: the person was born in the 1800s and the century is unsure.
    ReviewCentenarian = 32,
    /// A residence permit (81, 82, 83) or a foreigner's permanent residence card (9 and a province).
    ReviewPermit = 33,
}

impl Verdict {
    pub const FIRST_REFUSED: u8 = 16;

    pub fn is_usable(self) -> bool {
        (self as u8) < Self::FIRST_REFUSED
    }
}

/// Normalise a column of n texts in Arrow's string layout (n + 1 offsets into `data`).
///
/// Returns n * 18 bytes, zeros where the text is refused, and n [`Verdict`] bytes. Total: a
/// range outside `data` or bytes that are not UTF-8 are a bad character, never a panic.
pub fn normalise(offsets: &[i32], data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let rows = offsets.len().saturating_sub(1);
    let mut items = vec![0; rows * ITEM_BYTES];
    let mut verdicts = Vec::with_capacity(rows);
    for (range, item) in offsets.windows(2).zip(items.chunks_exact_mut(ITEM_BYTES)) {
        let verdict = match data.get(range[0] as usize..range[1] as usize) {
            Some(text) => normalise_one(text, item),
            None => Verdict::BadCharacter,
        };
        verdicts.push(verdict as u8);
    }
    (items, verdicts)
}

/// Normalise one text into `item` (18 bytes, untouched when it is refused).
fn normalise_one(text: &[u8], item: &mut [u8]) -> Verdict {
    if text.is_ascii() {
        // Nearly every row of a real list ends here: no decoding, no allocation.
        let trimmed = trim_ascii_margin(text);
        return judge(
            trim_ascii_margin(trimmed.strip_prefix(b"'").unwrap_or(trimmed)),
            item,
        );
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return Verdict::BadCharacter;
    };
    let text = text.trim_matches(is_margin);
    if text.len() > FOLDING_LIMIT {
        return judge(text.as_bytes(), item);
    }
    let folded: String = text.nfkc().collect();
    let folded = folded
        .strip_prefix('\'')
        .unwrap_or(&folded)
        .trim_matches(is_margin);
    judge(folded.as_bytes(), item)
}

fn trim_ascii_margin(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = text {
        text = rest;
    }
    text
}

/// What is taken off both ends: spaces, TAB, CR, and characters without width. Inside a number
/// they are refused, and so are LF and NUL anywhere: those tell of a broken export.
fn is_margin(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t'
            | '\r'
            | '\u{00A0}' // no-break space
            | '\u{00AD}' // soft hyphen
            | '\u{1680}'
            | '\u{180E}'
            | '\u{2000}'..='\u{200F}' // spaces, zero-width, marks of direction
            | '\u{202A}'..='\u{202F}' // directions as copied from dialogues, narrow no-break space
            | '\u{205F}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{3000}' // ideographic space
            | '\u{FEFF}' // byte order mark
    )
}

/// The rules proper, on text that is trimmed and folded.
fn judge(number: &[u8], item: &mut [u8]) -> Verdict {
    let Some((&last, body)) = number.split_last() else {
        return Verdict::Empty;
    };
    if is_spreadsheet_float(number) {
        return Verdict::SpreadsheetDamaged;
    }
    let last_is_digit = last.is_ascii_digit();
    if !body.iter().all(u8::is_ascii_digit) || !(last_is_digit || matches!(last, b'X' | b'x')) {
        return Verdict::BadCharacter;
    }
    match number.len() {
        18 => judge_18(number, item),
        15 if !last_is_digit => Verdict::BadCharacter,
        15 => convert_15(number, item),
        _ => Verdict::WrongLength,
    }
}

fn judge_18(number: &[u8], item: &mut [u8]) -> Verdict {
    if number[17].to_ascii_uppercase() != check_character(&number[..17]) {
        // A spreadsheet keeps 15 significant digits of a number and fills up with zeros.
        return if number.ends_with(b"000") {
            Verdict::SpreadsheetDamaged
        } else {
            Verdict::BadCheck
        };
    }
    if !is_real_date(&number[6..14]) {
        return Verdict::BadDate;
    }
    let place = &number[..2];
    if matches!(place, b"81" | b"82" | b"83") || (place[0] == b'9' && is_province(&number[1..3])) {
        return Verdict::ReviewPermit;
    }
    item.copy_from_slice(number);
    item[17].make_ascii_uppercase();
    if is_province(place) {
        Verdict::Ok
    } else {
        Verdict::OkUnknownPlace
    }
}

/// GB 11643-1989 had 15 digits: a two-digit year and no check character.
fn convert_15(number: &[u8], item: &mut [u8]) -> Verdict {
    if &number[12..] >= b"996".as_slice() {
        return Verdict::ReviewCentenarian;
    }
    let mut long = [0; ITEM_BYTES];
    long[..6].copy_from_slice(&number[..6]);
    long[6..8].copy_from_slice(b"19");
    long[8..17].copy_from_slice(&number[6..]);
    long[17] = check_character(&long[..17]);
    match judge_18(&long, item) {
        Verdict::Ok | Verdict::OkUnknownPlace => Verdict::OkConverted15,
        refused => refused,
    }
}

fn check_character(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    CHECK_CHARACTERS[(sum % 11) as usize]
}

fn is_real_date(digits: &[u8]) -> bool {
    let value = |part: &[u8]| {
        part.iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let (year, month, day) = (
        value(&digits[..4]),
        value(&digits[4..6]),
        value(&digits[6..]),
    );
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    YEARS.contains(&year) && (1..=days).contains(&day)
}

/// The two digits GB/T 2260 gives to provinces. Counties come and go; provinces have stood since 1997.
fn is_province(digits: &[u8]) -> bool {
    matches!(
        (digits[0] - b'0') * 10 + (digits[1] - b'0'),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=82
    )
}

/// `1.1E+17`, or at least 15 digits and `.0`: what a spreadsheet or a data frame writes for a number.
fn is_spreadsheet_float(text: &[u8]) -> bool {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'E' | b'e')) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(place) => (&mantissa[..place], Some(&mantissa[place + 1..])),
        None => (mantissa, None),
    };
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !digits(whole) || !fraction.is_none_or(digits) {
        return false;
    }
    match exponent {
        Some(exponent) => {
            digits(exponent.strip_prefix(b"+").unwrap_or(exponent)) && exponent.len() <= 4
        }
        None => {
            whole.len() >= 15 && fraction.is_some_and(|part| part.iter().all(|&byte| byte == b'0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge_text(text: &str) -> (Verdict, String) {
        let mut item = [0; ITEM_BYTES];
        let verdict = normalise_one(text.as_bytes(), &mut item);
        assert_eq!(verdict.is_usable(), item != [0; ITEM_BYTES], "{text:?}");
        (
            verdict,
            if verdict.is_usable() {
                String::from_utf8(item.into()).unwrap()
            } else {
                String::new()
            },
        )
    }

    fn verdict(text: &str) -> Verdict {
        judge_text(text).0
    }

    #[test]
    fn d45_published_cases() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/vectors/id18/gb11643.json"
        );
        let cases: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in cases["valid"].as_array().unwrap() {
            let number = case["id"].as_str().unwrap();
            let place = if number.starts_with("99") {
                Verdict::OkUnknownPlace
            } else {
                Verdict::Ok
            };
            assert_eq!(
                judge_text(number),
                (place, number.to_owned()),
                "{}",
                case["why"]
            );
        }
        for case in cases["invalid"].as_array().unwrap() {
            let (input, kind) = (
                case["input"].as_str().unwrap(),
                case["kind"].as_str().unwrap(),
            );
            let expected: &[Verdict] = match kind {
                "checksum" => &[Verdict::BadCheck],
                "date" => &[Verdict::BadDate],
                "length" => &[Verdict::WrongLength, Verdict::Empty],
                "legacy15" => &[Verdict::OkConverted15], // never silently: the verdict says so
                "excel" => &[Verdict::SpreadsheetDamaged],
                "unicode" => &[Verdict::BadCharacter, Verdict::BadCheck], // NFKC makes a digit of U+00B9
                _ => &[Verdict::BadCharacter],
            };
            assert!(
                expected.contains(&verdict(input)),
                "{input:?}: {:?}",
                verdict(input)
            );
        }
        for case in cases["normalise"].as_array().unwrap() {
            let canonical = case["canonical"].as_str().unwrap_or_default();
            assert_eq!(
                judge_text(case["input"].as_str().unwrap()).1,
                canonical,
                "{}",
                case["why"]
            );
        }
    }

    #[test]
    fn fifteen_digits() {
        assert_eq!(
            judge_text("990000800101001"),
            (Verdict::OkConverted15, "990000198001010012".into())
        );
        assert_eq!(verdict("990000800101995"), Verdict::OkConverted15);
        assert_eq!(verdict("990000800101996"), Verdict::ReviewCentenarian);
        assert_eq!(verdict("990000800101999"), Verdict::ReviewCentenarian);
        assert_eq!(verdict("990000801301001"), Verdict::BadDate);
        assert_eq!(verdict("99000080010100X"), Verdict::BadCharacter);
        // What is no usable number with 18 digits is none with 15, or the normal form would not stay itself.
        assert_eq!(verdict("950000800101123"), Verdict::ReviewPermit);
        assert_eq!(verdict("820000800101123"), Verdict::ReviewPermit);
    }

    #[test]
    fn permits_and_places() {
        let with_check = |body: &str| format!("{body}{}", check_character(body.as_bytes()) as char);
        for body in [
            "81000019800101001",
            "82000019800101001",
            "83000019800101001",
            "91112419810803002",
        ] {
            assert_eq!(verdict(&with_check(body)), Verdict::ReviewPermit, "{body}");
        }
        assert_eq!(verdict(&with_check("33990019800101001")), Verdict::Ok);
        assert_eq!(
            verdict(&with_check("99000019800101001")),
            Verdict::OkUnknownPlace
        );
        assert_eq!(
            verdict(&with_check("00000019800101001")),
            Verdict::OkUnknownPlace
        );
    }

    #[test]
    fn spreadsheet_damage() {
        for text in [
            "1.1E+17",
            "9.90000198001010E+17",
            "9e17",
            "990000198001010012.0",
            "990000800101001.00",
            "990000198001010000",
        ] {
            assert_eq!(verdict(text), Verdict::SpreadsheetDamaged, "{text}");
        }
        for text in [
            "E17",
            "1E",
            "1.E17",
            "1.5",
            ".5E3",
            "1E+99999",
            "9900001980.1010012",
            "990000198001010012.5",
        ] {
            assert_eq!(verdict(text), Verdict::BadCharacter, "{text}");
        }
        assert_eq!(verdict("990000198001016000"), Verdict::OkUnknownPlace); // three zeros, and the check holds
    }

    #[test]
    fn margins() {
        let good = "990000198001010012";
        for margin in [
            "\t", "\r", "\u{a0}", "\u{3000}", "\u{feff}", "\u{200b}", "\u{202d}", " \t ",
        ] {
            assert_eq!(
                judge_text(&format!("{margin}{good}{margin}")).1,
                good,
                "{margin:?}"
            );
            assert_eq!(
                judge_text(&format!("{margin}'{margin}{good}")).1,
                good,
                "{margin:?}"
            );
            assert_eq!(
                verdict(&format!("990000{margin}198001010012")),
                Verdict::BadCharacter,
                "{margin:?}"
            );
        }
        assert_eq!(judge_text(&format!("\u{ff07}{good}")).1, good);
        for text in [
            format!("''{good}"),
            format!("{good}'"),
            format!("{good}\n"),
            format!("\0{good}"),
        ] {
            assert_eq!(verdict(&text), Verdict::BadCharacter, "{text:?}");
        }
        for text in ["", " ", "'", "\u{a0}\u{200b}"] {
            assert_eq!(verdict(text), Verdict::Empty, "{text:?}");
        }
        let padded = format!("{}{good}", "\u{3000}".repeat(10_000));
        assert_eq!(judge_text(&padded).1, good);
    }

    /// A newer Unicode table would fold more characters: that is a new version of the normaliser.
    #[test]
    fn folding_table_is_frozen() {
        let (count, sum) = ('\u{80}'..=char::MAX)
            .filter(|character| {
                character
                    .nfkc()
                    .all(|c| matches!(c, '0'..='9' | 'X' | 'x' | '\''))
            })
            .fold((0, 0), |(count, sum), character| {
                (count + 1, sum + u32::from(character))
            });
        assert_eq!((count, sum), (188, 13_510_069));
    }

    #[test]
    fn bad_layouts_are_refused_rows() {
        assert_eq!(normalise(&[], b""), (vec![], vec![]));
        for offsets in [[0, 19], [-1, 2], [5, 2], [i32::MIN, i32::MAX]] {
            let (items, verdicts) = normalise(&offsets, b"990000198001010012");
            assert_eq!(
                (items, verdicts),
                (vec![0; 18], vec![Verdict::BadCharacter as u8])
            );
        }
        assert_eq!(
            normalise(&[0, 2], b"\xff\xff").1,
            [Verdict::BadCharacter as u8]
        );
    }

    proptest! {
        #[test]
        fn total_and_idempotent(text in "\\PC{0,24}|[0-9xX' \\u{a0}\u{ff10}-\u{ff19}]{14,20}|990000(19|20)[0-9]{9}[0-9Xx]") {
            let (verdict, item) = judge_text(&text);
            if verdict.is_usable() {
                prop_assert_eq!(judge_text(&item).1, item);
            }
        }

        #[test]
        fn every_real_number_is_kept(day in 0u32..36_500, sequence in 0u32..1000) {
            let (year, month, date) = (1900 + day / 365, day % 12 + 1, day % 28 + 1);
            let body = format!("990000{year:04}{month:02}{date:02}{sequence:03}");
            let number = format!("{body}{}", check_character(body.as_bytes()) as char);
            prop_assert_eq!(judge_text(&number), (Verdict::OkUnknownPlace, number.clone()));
            for wrong in "0123456789X".chars().filter(|c| !number.ends_with(*c)) {
                prop_assert!(!verdict_of(&body, wrong).is_usable());
            }
        }
    }

    fn verdict_of(body: &str, check: char) -> Verdict {
        verdict(&format!("{body}{check}"))
    }
}
