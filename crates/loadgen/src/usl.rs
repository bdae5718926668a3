//! The Universal Scalability Law, fitted to what was measured: how much work in hand helps, and
//! why more of it does not (N. J. Gunther, "Guerrilla Capacity Planning", 2007).
//!
//! `throughput(n) = λ n / (1 + σ (n − 1) + κ n (n − 1))`: λ is what one request in hand
//! achieves, σ the share of the work that waits in one line (contention), κ what requests cost
//! each other (coherency). With κ > 0 there is a number in hand beyond which throughput falls.

/// One measurement: so many requests in hand on average, so many answers per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Requests in hand, on average; by Little's law the throughput times the mean latency.
    pub concurrency: f64,
    /// Answers per second.
    pub throughput: f64,
}

/// The law's terms with what the measurements leave open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// λ: answers per second with one request in hand.
    pub alone: Term,
    /// σ: the share of the work that waits in one line, from 0 to 1.
    pub contention: Term,
    /// κ: what requests in hand cost each other, 0 or more.
    pub coherency: Term,
    /// The share of the variance of throughput that the law explains; 1 is all of it.
    pub explained: f64,
}

/// A value and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The most likely value.
    pub value: f64,
    /// Its standard error; infinite when there are too few points to say.
    pub error: f64,
}

/// A law of three terms wants more points than terms.
pub(crate) const POINTS_MIN: usize = 4;

/// Enough for a fit that converges at all.
const ROUNDS_MAX: usize = 200;

impl Law {
    /// Fits the law by least squares (Levenberg–Marquardt, with σ and κ kept at 0 or more).
    /// `None` with fewer than four usable points, or with none that differ.
    pub fn fit(points: &[Point]) -> Option<Law> {
        let usable = |point: &&Point| {
            point.concurrency > 0.0
                && point.throughput > 0.0
                && point.concurrency.is_finite()
                && point.throughput.is_finite()
        };
        let points: Vec<Point> = points.iter().filter(usable).copied().collect();
        let first = points.first()?.concurrency;
        if points.len() < POINTS_MIN || points.iter().all(|point| point.concurrency == first) {
            return None;
        }
        let mut terms = start(&points);
        let mut damping = 1e-3;
        let mut error = squares(&points, terms);
        for _ in 0..ROUNDS_MAX {
            let (mut normal, gradient) = normal_equations(&points, terms);
            for (index, row) in normal.iter_mut().enumerate() {
                row[index] *= 1.0 + damping;
            }
            let Some(change) = solve(normal, gradient) else { break };
            let moved = [
                (terms[0] + change[0]).max(f64::MIN_POSITIVE),
                (terms[1] + change[1]).clamp(0.0, 1.0),
                (terms[2] + change[2]).max(0.0),
            ];
            let moved_error = squares(&points, moved);
            if moved_error < error {
                let settled = (error - moved_error) <= error * 1e-12;
                (terms, error, damping) = (moved, moved_error, damping * 0.3);
                if settled {
                    break;
                }
            } else {
                damping *= 10.0;
                if damping > 1e12 {
                    break;
                }
            }
        }
        Some(Law::with_errors(&points, terms, error))
    }

    /// What the law says of so many requests in hand, in answers per second.
    pub fn throughput(&self, concurrency: f64) -> f64 {
        law([self.alone.value, self.contention.value, self.coherency.value], concurrency)
    }

    /// The number in hand beyond which throughput falls; `None` if it only flattens.
    pub fn peak_concurrency(&self) -> Option<f64> {
        let (sigma, kappa) = (self.contention.value, self.coherency.value);
        (kappa > 0.0).then(|| ((1.0 - sigma) / kappa).sqrt())
    }

    fn with_errors(points: &[Point], terms: [f64; 3], error: f64) -> Law {
        let (normal, _) = normal_equations(points, terms);
        let spare = points.len() as f64 - 3.0;
        let variance = error / spare;
        let term = |index: usize| {
            let mut unit = [0.0; 3];
            unit[index] = 1.0;
            let error = solve(normal, unit)
                .map_or(f64::INFINITY, |column| (column[index].max(0.0) * variance).sqrt());
            Term { value: terms[index], error }
        };
        let mean = points.iter().map(|p| p.throughput).sum::<f64>() / points.len() as f64;
        let total: f64 = points.iter().map(|p| (p.throughput - mean).powi(2)).sum();
        let explained = if total > 0.0 { 1.0 - error / total } else { 1.0 };
        Law { alone: term(0), contention: term(1), coherency: term(2), explained }
    }
}

/// λ from the least busy point, and a little of both losses.
fn start(points: &[Point]) -> [f64; 3] {
    let rate_of = |point: &Point| point.throughput / point.concurrency;
    let best = points.iter().map(rate_of).fold(0.0, f64::max);
    [best, 0.01, 1e-5]
}

fn law([lambda, sigma, kappa]: [f64; 3], n: f64) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

fn squares(points: &[Point], terms: [f64; 3]) -> f64 {
    points.iter().map(|point| (point.throughput - law(terms, point.concurrency)).powi(2)).sum()
}

/// JᵀJ and Jᵀr, with J the slopes of the law by its terms and r what it misses.
fn normal_equations(points: &[Point], terms: [f64; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
    let (mut normal, mut gradient) = ([[0.0; 3]; 3], [0.0; 3]);
    for point in points {
        let n = point.concurrency;
        let below = 1.0 + terms[1] * (n - 1.0) + terms[2] * n * (n - 1.0);
        let value = law(terms, n);
        let slopes = [n / below, -value * (n - 1.0) / below, -value * n * (n - 1.0) / below];
        let missed = point.throughput - value;
        for row in 0..3 {
            gradient[row] += slopes[row] * missed;
            for column in 0..3 {
                normal[row][column] += slopes[row] * slopes[column];
            }
        }
    }
    (normal, gradient)
}

/// Solves three equations by elimination with the largest pivot; `None` if they say too little.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for pivot in 0..3 {
        let largest = (pivot..3)
            .max_by(|&a, &b| matrix[a][pivot].abs().total_cmp(&matrix[b][pivot].abs()))?;
        matrix.swap(pivot, largest);
        right.swap(pivot, largest);
        if matrix[pivot][pivot] == 0.0 || !matrix[pivot][pivot].is_finite() {
            return None;
        }
        for row in pivot + 1..3 {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut solution = [0.0; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|column| matrix[row][column] * solution[column]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: [f64; 3] = [1_000.0, 0.05, 0.000_2];

    fn points(terms: [f64; 3], noise: f64) -> Vec<Point> {
        let mut random = fastrand::Rng::with_seed(7);
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 96.0, 128.0]
            .map(|concurrency| Point {
                concurrency,
                throughput: law(terms, concurrency) * (1.0 + noise * (random.f64() - 0.5)),
            })
            .to_vec()
    }

    #[test]
    fn finds_the_terms_that_made_the_points() {
        let law = Law::fit(&points(TERMS, 0.0)).unwrap();
        for (term, expected) in [law.alone, law.contention, law.coherency].into_iter().zip(TERMS) {
            assert!((term.value / expected - 1.0).abs() < 1e-4, "{law:?}");
        }
        assert!(law.explained > 0.999_999);
        let peak = law.peak_concurrency().unwrap();
        assert!((peak / 68.9 - 1.0).abs() < 0.01, "{peak}");
    }

    #[test]
    fn noise_widens_the_errors_and_they_cover_the_truth() {
        let law = Law::fit(&points(TERMS, 0.1)).unwrap();
        for (term, expected) in [law.alone, law.contention, law.coherency].into_iter().zip(TERMS) {
            assert!((term.value - expected).abs() < 3.0 * term.error, "{expected}: {law:?}");
        }
        assert!(law.explained > 0.9 && law.explained < 1.0);
    }

    #[test]
    fn a_perfect_service_has_no_losses_and_no_peak() {
        let law = Law::fit(&points([500.0, 0.0, 0.0], 0.0)).unwrap();
        assert!(law.contention.value < 1e-6 && law.coherency.value < 1e-6, "{law:?}");
        assert!(law.peak_concurrency().is_none_or(|peak| peak > 1_000.0), "{law:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_not() {
        assert_eq!(Law::fit(&[]), None);
        assert_eq!(Law::fit(&points(TERMS, 0.0)[..3]), None);
        let same = Point { concurrency: 2.0, throughput: 10.0 };
        assert_eq!(Law::fit(&[same; 9]), None);
        let bad = Point { concurrency: f64::NAN, throughput: 10.0 };
        assert_eq!(Law::fit(&[bad; 9]), None);
    }

    #[test]
    fn any_points_give_numbers_or_nothing() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let points: Vec<_> = (0..random.usize(0..12))
                .map(|_| Point {
                    concurrency: 10f64.powf(random.f64() * 12.0 - 6.0),
                    throughput: 10f64.powf(random.f64() * 12.0 - 6.0),
                })
                .collect();
            let Some(law) = Law::fit(&points) else { continue };
            for term in [law.alone, law.contention, law.coherency] {
                assert!(term.value.is_finite() && !term.error.is_nan(), "{law:?}");
            }
        }
    }
}
