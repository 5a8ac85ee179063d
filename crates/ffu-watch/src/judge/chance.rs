//! The few distributions that telling burst from noise needs.

/// ln Γ(x) for x > 0, by Stirling's series after shifting x above 10; right to about 1e-13.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

/// P(N ≥ count) for a Poisson variable N with this mean: the regularized lower incomplete gamma function P(count, mean).
/// A mean that is not known (infinite or NaN) makes everything possible.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn at_least(count: u64, mean: f64) -> f64 {
    if count == 0 || !mean.is_finite() {
        return 1.0;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let a = count as f64;
    // e^-mean · mean^a / Γ(a): what both expansions are multiplied with.
    let front = (a * mean.ln() - mean - ln_gamma(a)).exp();
    let value = if mean < a + 1.0 {
        front * series(a, mean)
    } else {
        1.0 - front * fraction(a, mean)
    };
    value.clamp(0.0, 1.0)
}

/// Σ xⁿ / (a (a+1) … (a+n)); converges fast for x < a + 1.
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut next) = (1.0 / a, 1.0 / a, a);
    for _ in 0..100_000 {
        next += 1.0;
        term *= x / next;
        sum += term;
        if term < sum * 1e-15 {
            break;
        }
    }
    sum
}

/// Γ(a, x) without its front as a continued fraction, from the back; converges fast for x ≥ a + 1.
fn fraction(a: f64, x: f64) -> f64 {
    // Lentz's way of evaluating 1/(x+1-a- 1·(1-a)/(x+3-a- 2·(2-a)/(x+5-a- …))).
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut value = d;
    for n in 1..100_000 {
        let n = f64::from(n);
        let factor = n * (a - n);
        b += 2.0;
        d = 1.0 / nonzero(factor * d + b, TINY);
        c = nonzero(b + factor / c, TINY);
        value *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    value
}

fn nonzero(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

/// The largest mean of a Poisson variable with which so few as `count` would still be seen in one case of twenty (Garwood's
/// upper bound, one-sided, 95 %). For 0 it is 3.0: the rule of three.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn upper_mean(count: u64) -> f64 {
    let few = |mean: f64| 1.0 - at_least(count + 1, mean);
    let (mut low, mut high) = (count as f64, 2.0 * count as f64 + 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if few(middle) > 0.05 {
            low = middle
        } else {
            high = middle
        }
    }
    high
}

/// The smallest count that a Poisson variable with this mean reaches with less than this chance.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn rare_count(mean: f64, chance: f64) -> u64 {
    if !mean.is_finite() || mean > 1e12 {
        return u64::MAX;
    }
    let (mut low, mut high) = (mean.floor() as u64, (mean + 12.0 * mean.sqrt() + 40.0) as u64);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if at_least(middle, mean) < chance {
            high = middle
        } else {
            low = middle
        }
    }
    high.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-3), "{got} is not {want}");
    }

    /// Adds the terms one by one.
    fn summed(count: u64, mean: f64) -> f64 {
        let mut term = (-mean).exp();
        let mut below = 0.0;
        for n in 0..count {
            below += term;
            term *= mean / (n + 1) as f64;
        }
        1.0 - below
    }

    #[test]
    fn poisson_tails_are_those_of_the_sum() {
        for mean in [0.01, 0.5, 1.0, 3.7, 20.0, 100.0] {
            for count in [0, 1, 2, 5, 20, 90, 130] {
                let want = summed(count, mean);
                if want > 1e-7 {
                    near(at_least(count, mean), want);
                }
            }
        }
        // 1 - e^-μ for one; μ^n/n! for a small mean.
        near(at_least(1, 1e-9), 1e-9);
        // e^-μ · Σ μ^n/n! from 5 on, by hand: e^-0.01 · 0.01^5/120 · (1 + 0.01/6 + 0.01²/42 + …).
        near(
            at_least(5, 0.01) / 1e-12,
            (-0.01_f64).exp() * 100.0 / 120.0 * (1.0 + 0.01 / 6.0 + 1e-4 / 42.0 + 1e-6 / 336.0),
        );
        assert!((0.49..0.51).contains(&at_least(1_000_000, 1e6)));
        assert_eq!(
            (at_least(3, f64::INFINITY), at_least(3, 0.0), at_least(0, 0.0)),
            (1.0, 0.0, 1.0)
        );
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Garwood's upper bounds, one-sided 95 %, as printed in tables: 2.996, 4.744, 6.296, 9.154, 16.962.
        for (count, want) in [(0, 2.996), (1, 4.744), (2, 6.296), (4, 9.154), (10, 16.962)] {
            assert!(
                (upper_mean(count) - want).abs() < 1e-3,
                "{count}: {}",
                upper_mean(count)
            );
        }
        for mean in [0.001, 0.1, 1.0, 50.0, 5000.0] {
            let count = rare_count(mean, 1e-6);
            assert!(at_least(count, mean) < 1e-6 && (count == 1 || at_least(count - 1, mean) >= 1e-6));
        }
        assert_eq!(rare_count(f64::INFINITY, 0.1), u64::MAX);
    }
}
