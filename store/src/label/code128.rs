//! Code 128, the barcode that shops use for stock numbers (ISO/IEC 15417, code set B).

/// The widths of bars and gaps of each symbol value, in modules; a symbol begins with a bar.
const SYMBOLS: [&[u8; 6]; 106] = [
    b"212222", b"222122", b"222221", b"121223", b"121322", b"131222", b"122213", b"122312",
    b"132212", b"221213", b"221312", b"231212", b"112232", b"122132", b"122231", b"113222",
    b"123122", b"123221", b"223211", b"221132", b"221231", b"213212", b"223112", b"312131",
    b"311222", b"321122", b"321221", b"312212", b"322112", b"322211", b"212123", b"212321",
    b"232121", b"111323", b"131123", b"131321", b"112313", b"132113", b"132311", b"211313",
    b"231113", b"231311", b"112133", b"112331", b"132131", b"113123", b"113321", b"133121",
    b"313121", b"211331", b"231131", b"213113", b"213311", b"213131", b"311123", b"311321",
    b"331121", b"312113", b"312311", b"332111", b"314111", b"221411", b"431111", b"111224",
    b"111422", b"121124", b"121421", b"141122", b"141221", b"112214", b"112412", b"122114",
    b"122411", b"142112", b"142211", b"241211", b"221114", b"413111", b"241112", b"134111",
    b"111242", b"121142", b"121241", b"114212", b"124112", b"124211", b"411212", b"421112",
    b"421211", b"212141", b"214121", b"412121", b"111143", b"111341", b"131141", b"114113",
    b"114311", b"411113", b"411311", b"113141", b"114131", b"311141", b"411131", b"211412",
    b"211214", b"211232",
];

/// The end of every barcode.
const STOP: &[u8; 7] = b"2331112";

/// The value that says: what follows is code set B.
const START_B: usize = 104;

/// The module pattern of a text, `true` where it is dark, without the quiet zone around it.
/// Characters that code set B does not have (all but printable ASCII) become `?`.
pub(super) fn encode(text: &str) -> Vec<bool> {
    let mut values = vec![START_B];
    values.extend(text.chars().map(value));
    values.push(check(&values));

    let mut modules = Vec::new();
    for value in values {
        push_widths(&mut modules, SYMBOLS[value]);
    }
    push_widths(&mut modules, STOP);
    modules
}

fn value(character: char) -> usize {
    let printable = if matches!(character, ' '..='\x7e') { character } else { '?' };
    printable as usize - ' ' as usize
}

/// The values weighted by their place, modulo 103; the start symbol weighs as much as the first.
fn check(values: &[usize]) -> usize {
    values.iter().enumerate().map(|(place, value)| value * place.max(1)).sum::<usize>() % 103
}

fn push_widths(modules: &mut Vec<bool>, widths: &[u8]) {
    for (place, width) in widths.iter().enumerate() {
        let dark = place % 2 == 0;
        modules.extend(std::iter::repeat_n(dark, usize::from(width - b'0')));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What a scanner does: measures the widths and looks them up.
    fn scan(modules: &[bool]) -> String {
        let widths: Vec<u8> = modules
            .chunk_by(|left, right| left == right)
            .map(|bar| b'0' + u8::try_from(bar.len()).unwrap())
            .collect();
        let (symbols, stop) = widths.split_at(widths.len() - STOP.len());
        assert_eq!(stop, STOP);
        let values: Vec<usize> = symbols
            .chunks(6)
            .map(|widths| SYMBOLS.iter().position(|symbol| *symbol == widths).unwrap())
            .collect();
        let (check_value, values) = values.split_last().unwrap();
        assert_eq!(*check_value, check(values));
        assert_eq!(values[0], START_B);
        values[1..].iter().map(|value| char::from(b' ' + u8::try_from(*value).unwrap())).collect()
    }

    #[test]
    fn what_was_encoded_can_be_scanned() {
        for text in ["TF-7K3Q9D", "", "a", " ~!\"", "0123456789 ABC xyz"] {
            assert_eq!(scan(&encode(text)), text);
        }
    }

    #[test]
    fn what_the_code_does_not_have_is_a_question_mark() {
        assert_eq!(scan(&encode("Ulmer é\n")), "Ulmer ??");
    }

    /// The standard's own invariants; a typing mistake in the table breaks one of them.
    #[test]
    fn the_table_is_the_standards() {
        let sum = |widths: &[u8]| widths.iter().map(|width| width - b'0').sum::<u8>();
        for symbol in SYMBOLS {
            assert_eq!(sum(symbol), 11);
            let dark: u8 = symbol.iter().step_by(2).map(|width| width - b'0').sum();
            assert_eq!(dark % 2, 0, "the dark modules of {symbol:?} are even in number");
        }
        assert_eq!(SYMBOLS.iter().collect::<HashSet<_>>().len(), SYMBOLS.len());
        assert_eq!(sum(STOP), 13);
    }

    /// The worked example of the check digit in Wikipedia's article on Code 128.
    #[test]
    fn the_check_value_is_the_known_one() {
        let pjj123c: Vec<usize> = [103].into_iter().chain("PJJ123C".chars().map(value)).collect();
        assert_eq!(check(&pjj123c), 54);
    }
}
