//! Numbers of which the first are wanted far more often than the last, as products are.

/// Numbers from 1 to `count`, of which k comes with a probability proportional to `k^-exponent`.
///
/// Drawn by rejection-inversion (W. Hörmann, G. Derflinger: "Rejection-inversion to generate
/// variates from monotone discrete distributions", 1996), which needs no table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zipf {
    pub(super) count: f64,
    pub(super) exponent: f64,
    integral_first: f64,
    integral_last: f64,
    near: f64,
}

impl Zipf {
    pub(super) fn new(count: u64, exponent: f64) -> Zipf {
        let mut zipf = Zipf {
            count: count as f64,
            exponent,
            integral_first: 0.0,
            integral_last: 0.0,
            near: 0.0,
        };
        zipf.integral_first = zipf.integral(1.5) - 1.0;
        zipf.integral_last = zipf.integral(count as f64 + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> u64 {
        loop {
            let area =
                self.integral_last + random.f64() * (self.integral_first - self.integral_last);
            let x = self.inverse(area);
            let k = x.round().clamp(1.0, self.count);
            if k - x <= self.near || area >= self.integral(k + 0.5) - self.density(k) {
                return k as u64;
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the density up to x, but for a constant.
    fn integral(&self, x: f64) -> f64 {
        let ln = x.ln();
        growth((1.0 - self.exponent) * ln) * ln
    }

    fn inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.exponent)).max(-1.0);
        (logarithm(t) * area).exp()
    }
}

/// `(e^x - 1) / x`, also where x is nothing: the exponent 1 is an ordinary one.
fn growth(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// `ln(1 + x) / x`, also where x is nothing.
fn logarithm(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_often_as_they_should() {
        for exponent in [0.5, 1.0, 1.1, 2.0] {
            let zipf = Zipf::new(100, exponent);
            let mut random = fastrand::Rng::with_seed(3);
            let mut seen = [0_u32; 101];
            let draws = 200_000;
            for _ in 0..draws {
                seen[zipf.draw(&mut random) as usize] += 1;
            }
            let total: f64 = (1..=100).map(|k| f64::from(k).powf(-exponent)).sum();
            for k in [1_usize, 2, 3, 10, 100] {
                let expected = f64::from(draws) * (k as f64).powf(-exponent) / total;
                let distance = (f64::from(seen[k]) - expected).abs();
                assert!(distance < 6.0 * expected.sqrt().max(2.0), "{k}: {} {expected}", seen[k]);
            }
            assert_eq!(seen[0], 0);
        }
    }

    #[test]
    fn a_single_number_is_drawn_at_once() {
        let mut random = fastrand::Rng::with_seed(1);
        assert_eq!(Zipf::new(1, 1.2).draw(&mut random), 1);
    }
}
