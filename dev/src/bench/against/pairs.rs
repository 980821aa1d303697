//! Paired ratios: median, quartiles, range.

use crate::bench::summary::median;

/// The distribution of the ratios of pairs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The minimum.
    pub min: f64,
    /// The 25th percentile, by linear interpolation.
    pub lower_quartile: f64,
    /// The 75th percentile.
    pub upper_quartile: f64,
    /// The maximum.
    pub max: f64,
    /// All of them, one after the other.
    pub each: Vec<f64>,
}

impl Spread {
    /// Of the first of each pair divided by the second.
    pub fn of_ratios(pairs: impl Iterator<Item = (f64, f64)>) -> Spread {
        let each: Vec<f64> = pairs.map(|(this, other)| this / other).collect();
        let mut sorted = each.clone();
        sorted.sort_by(f64::total_cmp);
        Spread {
            median: median(each.iter().copied()),
            min: quantile(&sorted, 0.0),
            lower_quartile: quantile(&sorted, 0.25),
            upper_quartile: quantile(&sorted, 0.75),
            max: quantile(&sorted, 1.0),
            each,
        }
    }
}

/// A quantile by linear interpolation; 0 of nothing, like the median.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = part * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(ratios: &[f64]) -> Spread {
        Spread::of_ratios(ratios.iter().map(|ratio| (*ratio, 1.0)))
    }

    #[test]
    fn the_ratio_is_of_each_pair() {
        assert_eq!(Spread::of_ratios([(3.0, 2.0), (1.0, 4.0)].into_iter()).each, [1.5, 0.25]);
    }

    #[test]
    fn seven_pairs_have_their_fourth_in_the_middle_and_quartiles_between_their_neighbours() {
        let spread = spread(&[7.0, 1.0, 4.0, 3.0, 6.0, 2.0, 5.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 4.0, 7.0));
        assert_eq!((spread.lower_quartile, spread.upper_quartile), (2.5, 5.5));
    }

    #[test]
    fn one_pair_that_is_far_off_does_not_move_the_median() {
        let spread = spread(&[1.0, 1.01, 0.2, 0.99, 1.0, 9.0, 1.0]);
        assert_eq!((spread.min, spread.median, spread.max), (0.2, 1.0, 9.0));
        assert!(spread.lower_quartile > 0.99 && spread.upper_quartile < 1.01, "{spread:?}");
    }

    #[test]
    fn an_even_number_of_pairs_has_its_median_between_two() {
        assert_eq!(spread(&[1.0, 4.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(spread(&[2.0]).upper_quartile, 2.0);
    }
}
