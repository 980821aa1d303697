//! Money: integer cents and exact decimals, never floating point.
//!
//! A cent is the minor unit of a currency (ISO 4217): a hundredth of a rupee, a whole yen, a thousandth of a dinar.

use iso_currency::Currency;

/// The largest amount in cents that the columns hold (PostgreSQL's `INT`).
pub const MAX_CENTS: i64 = i32::MAX as i64;

/// Why a price could not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceError {
    /// Not a number, or with fractions of a cent: the peer's answer is broken, and a retry may help.
    Unusable,
    /// Negative, or beyond [`MAX_CENTS`].
    OutOfRange,
}

/// How many decimals the major unit of a currency has (ISO 4217): 2 for INR, 0 for JPY, 3 for KWD. `None` for a code that is none,
/// and for one without a minor unit, such as that of gold.
pub fn decimals(currency: &str) -> Option<u16> {
    Currency::from_code(currency)?.exponent()
}

/// Parses a price in major units (rupees) of a currency with so many decimals as cents, exactly.
///
/// Takes the text of a JSON number (`150`, `150.00`, `1.5e2`), so that the value never becomes a floating-point number.
///
/// # Errors
/// [`PriceError::Unusable`] when the text is no decimal number or does not come out at whole cents;
/// [`PriceError::OutOfRange`] when it is negative or more than [`MAX_CENTS`].
pub fn cents_from_major(text: &str, decimals: u16) -> Result<i64, PriceError> {
    let decimal = Decimal::parse(text).ok_or(PriceError::Unusable)?;
    if decimal.negative && decimal.digits.bytes().any(|d| d != b'0') {
        return Err(PriceError::OutOfRange);
    }
    // value = digits × 10^exponent major units = digits × 10^(exponent + decimals) cents
    let digits = decimal.digits.trim_start_matches('0');
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return Ok(0);
    }
    let shift = decimal.exponent + i64::from(decimals) + (digits.len() - trimmed.len()) as i64;
    if shift < 0 {
        return Err(PriceError::Unusable);
    }
    if trimmed.len() as i64 + shift > 18 {
        return Err(PriceError::OutOfRange);
    }
    let value: i64 = trimmed.parse().map_err(|_| PriceError::Unusable)?;
    let cents = value * 10_i64.pow(shift as u32);
    if cents > MAX_CENTS { Err(PriceError::OutOfRange) } else { Ok(cents) }
}

/// A decimal number as written: `(-1)^negative × digits × 10^exponent`.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) if exponent.len() <= 6 => (mantissa, exponent.parse::<i64>().ok()?),
            Some(_) => return None,
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let well_formed = !whole.is_empty()
            && (mantissa.contains('.') != fraction.is_empty())
            && digits.len() <= 64
            && digits.bytes().all(|b| b.is_ascii_digit());
        well_formed.then(|| Self { negative, digits, exponent: exponent - fraction.len() as i64 })
    }
}

/// A tax rate in percent, exact to six decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaxRate {
    micro_percent: u64,
}

impl TaxRate {
    /// Parses a percentage such as `5` or `7.5`: 0 to 1000, at most six decimals.
    ///
    /// # Errors
    /// `None` when the text is no such number.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 4 || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
            return None;
        }
        if text.contains('.') && fraction.is_empty() {
            return None;
        }
        let micro_percent: u64 = format!("{whole}{fraction:0<6}").parse().ok()?;
        (micro_percent <= 1_000_000_000).then_some(Self { micro_percent })
    }

    /// The tax on a subtotal, both in cents, rounded up: `ceil(subtotal × rate / 100)`.
    pub fn tax_cents(self, subtotal_cents: i64) -> i64 {
        let exact = subtotal_cents as i128 * self.micro_percent as i128;
        let whole: i128 = 100 * 1_000_000;
        ((exact + whole - 1) / whole) as i64
    }
}

/// What an order costs, in cents of its currency. Total = subtotal + tax, at most [`MAX_CENTS`]. Zero is not charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amounts {
    /// Sum of the seats' prices, in cents.
    pub subtotal_cents: i64,
    /// Tax on the subtotal in cents, rounded up.
    pub tax_cents: i64,
    /// What Payment charges, in cents.
    pub total_cents: i64,
}

impl Amounts {
    /// Adds up prices and tax.
    ///
    /// # Errors
    /// `None` when the total does not fit the column.
    pub fn of(prices_cents: impl IntoIterator<Item = i64>, tax: TaxRate) -> Option<Self> {
        let mut subtotal_cents: i64 = 0;
        for price in prices_cents {
            subtotal_cents = subtotal_cents.checked_add(price).filter(|_| price >= 0)?;
            if subtotal_cents > MAX_CENTS {
                return None;
            }
        }
        let tax_cents = tax.tax_cents(subtotal_cents);
        let total_cents = subtotal_cents + tax_cents;
        (0..=MAX_CENTS).contains(&total_cents).then_some(Self { subtotal_cents, tax_cents, total_cents })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_are_read_exactly() {
        for (text, expected) in [
            ("150", Ok(15000)),
            ("150.00", Ok(15000)),
            ("150.5", Ok(15050)),
            ("0.01", Ok(1)),
            ("0", Ok(0)),
            ("-0.00", Ok(0)),
            ("1.5e2", Ok(15000)),
            ("15000E-2", Ok(15000)),
            ("150.500", Ok(15050)),
            ("0.29", Ok(29)),
            ("1.15", Ok(115)),
            ("12.345", Err(PriceError::Unusable)),
            ("0.001", Err(PriceError::Unusable)),
            ("-5", Err(PriceError::OutOfRange)),
            ("1000000000000", Err(PriceError::OutOfRange)),
            ("1e12", Err(PriceError::OutOfRange)),
            ("1e99999", Err(PriceError::OutOfRange)),
            ("1e9999999", Err(PriceError::Unusable)),
            ("21474836.47", Ok(2147483647)),
            ("21474836.48", Err(PriceError::OutOfRange)),
            ("", Err(PriceError::Unusable)),
            ("1.", Err(PriceError::Unusable)),
            (".5", Err(PriceError::Unusable)),
            ("NaN", Err(PriceError::Unusable)),
            ("\"150\"", Err(PriceError::Unusable)),
        ] {
            assert_eq!(cents_from_major(text, 2), expected, "{text}");
        }
    }

    #[test]
    fn a_price_has_as_many_decimals_as_its_currency() {
        for (currency, text, expected) in [
            ("JPY", "1500", Ok(1500)),
            ("JPY", "1500.00", Ok(1500)),
            ("JPY", "1.5e3", Ok(1500)),
            ("JPY", "1500.5", Err(PriceError::Unusable)),
            ("JPY", "2147483647", Ok(2147483647)),
            ("JPY", "2147483648", Err(PriceError::OutOfRange)),
            ("KWD", "1.505", Ok(1505)),
            ("KWD", "1.5", Ok(1500)),
            ("KWD", "1.5050", Ok(1505)),
            ("KWD", "1.5055", Err(PriceError::Unusable)),
            ("KWD", "2147483.648", Err(PriceError::OutOfRange)),
            ("CLF", "1.2345", Ok(12345)),
            ("EUR", "1.505", Err(PriceError::Unusable)),
        ] {
            let decimals = decimals(currency).unwrap();
            assert_eq!(cents_from_major(text, decimals), expected, "{currency} {text}");
        }
    }

    #[test]
    fn a_currency_is_one_of_the_standard_that_has_a_minor_unit() {
        for (code, expected) in
            [("INR", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("TND", 3), ("CLF", 4)]
        {
            assert_eq!(decimals(code), Some(expected), "{code}");
        }
        for code in ["", "inr", "Inr", "IN", "INRX", "ABC", "ZZZ", "XAU", "XXX", "₹", " INR"] {
            assert_eq!(decimals(code), None, "{code}");
        }
    }

    #[test]
    fn tax_is_rounded_up_to_a_cent() {
        for (rate, subtotal, expected) in [
            ("5", 45000, 2250),
            ("7.5", 100, 8),
            ("0", 45000, 0),
            ("0.000001", 1, 1),
            ("18", 1, 1),
            ("100", 7, 7),
            ("33.333333", 300, 100),
        ] {
            assert_eq!(TaxRate::parse(rate).unwrap().tax_cents(subtotal), expected, "{rate} % of {subtotal}");
        }
    }

    #[test]
    fn a_tax_rate_is_a_plain_decimal_up_to_a_thousand() {
        for text in ["", "-1", "5%", "1e2", "1001", "5.", ".5", "0.0000001", "NaN", "99999"] {
            assert_eq!(TaxRate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_total_must_fit_the_column() {
        let five = TaxRate::parse("5").unwrap();
        let expected = Amounts { subtotal_cents: 45000, tax_cents: 2250, total_cents: 47250 };
        assert_eq!(Amounts::of([15000, 15000, 15000], five), Some(expected));
        let nothing = Amounts { subtotal_cents: 0, tax_cents: 0, total_cents: 0 };
        assert_eq!(Amounts::of([0], five), Some(nothing));
        assert_eq!(Amounts::of([-1], five), None);
        assert_eq!(Amounts::of([MAX_CENTS], five), None);
        assert_eq!(Amounts::of([MAX_CENTS, MAX_CENTS], five), None);
        assert_eq!(Amounts::of([i64::MAX, i64::MAX], five), None);
    }

    proptest! {
        #[test]
        fn a_price_with_all_its_decimals_survives(cents in 0_i64..=MAX_CENTS, decimals in 1_u16..=4) {
            let unit = 10_i64.pow(decimals.into());
            let text = format!("{}.{:02$}", cents / unit, cents % unit, usize::from(decimals));
            prop_assert_eq!(cents_from_major(&text, decimals), Ok(cents));
        }

        #[test]
        fn reading_a_price_never_panics(text in "[-+0-9.eE]{0,24}", decimals in 0_u16..=4) {
            let _ = cents_from_major(&text, decimals);
        }

        #[test]
        fn tax_is_the_least_whole_cent_that_covers_the_rate(subtotal in 0_i64..=MAX_CENTS, micro in 0_u64..=1_000_000_000) {
            let tax = TaxRate { micro_percent: micro }.tax_cents(subtotal) as i128;
            let exact = subtotal as i128 * micro as i128;
            prop_assert!(tax * 100_000_000 >= exact);
            prop_assert!((tax - 1) * 100_000_000 < exact);
        }
    }
}
