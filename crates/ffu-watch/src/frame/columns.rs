//! Numbers as bytes: variable length, signed differences, round-trip times on a scale of logarithms.

/// Appends a number, seven bits a byte.
pub(super) fn put(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes a number off the front.
pub(super) fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && *first > 1 {
            return None;
        }
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A column of differences to what is expected.
#[derive(Default)]
pub(super) struct Deltas {
    last: u64,
    pub bytes: Vec<u8>,
}

impl Deltas {
    pub fn put(&mut self, value: u64) {
        let delta = value.wrapping_sub(self.last) as i64;
        put(((delta << 1) ^ (delta >> 63)) as u64, &mut self.bytes);
        self.last = value;
    }
}

/// Reads such a column.
pub(super) struct DeltaReader<'a> {
    last: u64,
    bytes: &'a [u8],
}

impl<'a> DeltaReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        DeltaReader { last: 0, bytes }
    }

    pub fn get(&mut self) -> Option<u64> {
        let coded = get(&mut self.bytes)?;
        self.last = self.last.wrapping_add((coded >> 1) ^ (coded & 1).wrapping_neg());
        Some(self.last)
    }
}

/// A round-trip time as a power of two and the six bits below it; less than 64 is exact.
pub(super) fn scale(rtt: u64) -> (u8, u8) {
    if rtt < 64 {
        return (0, rtt as u8);
    }
    let power = 63 - rtt.leading_zeros() as u8; // 6 to 63
    (power - 5, (rtt >> (power - 6)) as u8 & 63)
}

/// The middle of the round-trip times that are written so; `None` if none is.
pub(super) fn unscale(power: u8, low: u8) -> Option<u64> {
    if low > 63 || power > 58 {
        return None;
    }
    let Some(shift) = power.checked_sub(1) else {
        return Some(u64::from(low));
    };
    let half = (1u64 << shift) >> 1;
    Some(((64 + u64::from(low)) << shift) | half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip_times_keep_their_precision(bits in 0u32..64, value in any::<u64>()) {
            let rtt = value >> bits;
            let (power, low) = scale(rtt);
            let back = unscale(power, low).expect("what was written");
            prop_assert!(u128::from(back.abs_diff(rtt)) * 1000 <= u128::from(rtt) * 8, "{} became {}", rtt, back);
            prop_assert_eq!(scale(back), (power, low));
        }

        #[test]
        fn numbers_come_back(values in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut deltas = Deltas::default();
            values.iter().for_each(|value| deltas.put(*value));
            let mut reader = DeltaReader::new(&deltas.bytes);
            for value in values {
                prop_assert_eq!(reader.get(), Some(value));
            }
            prop_assert_eq!(reader.get(), None);
        }
    }
}
