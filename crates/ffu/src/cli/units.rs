//! Values with a unit, as they are typed.

/// Bytes, with a unit of 1024: `500M`, `5G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return Err("a number, and K, M or G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a number, and K, M or G".to_owned())?;
    let total = number.checked_mul(unit).filter(|total| *total <= 1 << 40);
    total.ok_or_else(|| "at most 1024G".to_owned())
}
