//! Periods of the calendar, in UTC.

use crate::model::retention::{Retention, Schedule};
use jiff::{Timestamp, tz::TimeZone};
use std::fmt;

/// A kind of period. Each has at most one representative: the newest snapshot of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week from Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// Shortest first.
pub(super) const PERIODS: [Period; 5] = [
    Period::Hour,
    Period::Day,
    Period::Week,
    Period::Month,
    Period::Year,
];

impl Period {
    /// A number for the period that a moment is in; later periods have greater ones.
    pub fn of(self, seconds: i64) -> i64 {
        let days = seconds.div_euclid(86_400);
        match self {
            Self::Hour => seconds.div_euclid(3_600),
            Self::Day => days,
            // 1970 began on a Thursday.
            Self::Week => (days + 3).div_euclid(7),
            Self::Month => {
                let (year, month) = civil(seconds);
                year * 12 + month
            }
            Self::Year => civil(seconds).0,
        }
    }

    /// How many of them a policy keeps.
    pub fn count(self, retention: &Retention) -> u32 {
        match self {
            Self::Hour => retention.hourly,
            Self::Day => retention.daily,
            Self::Week => retention.weekly,
            Self::Month => retention.monthly,
            Self::Year => retention.yearly,
        }
    }
}

impl From<Schedule> for Period {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Hourly => Self::Hour,
            Schedule::Daily => Self::Day,
            Schedule::Weekly => Self::Week,
            Schedule::Monthly => Self::Month,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        })
    }
}

/// Year and month. A moment that no calendar has lies at the calendar's nearer end.
fn civil(seconds: i64) -> (i64, i64) {
    let (least, most) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let stamp = Timestamp::from_second(seconds.clamp(least, most)).unwrap_or(Timestamp::UNIX_EPOCH);
    let date = stamp.to_zoned(TimeZone::UTC).date();
    (i64::from(date.year()), i64::from(date.month()) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_second()
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        let edges = [
            (Period::Hour, "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"),
            (Period::Day, "2026-10-25T23:59:59Z", "2026-10-26T00:00:00Z"),
            // 2026-11-23 is a Monday.
            (Period::Week, "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"),
            (
                Period::Month,
                "2028-02-29T23:59:59Z",
                "2028-03-01T00:00:00Z",
            ),
            (Period::Year, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            (Period::Year, "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ];
        for (period, before, after) in edges {
            assert_eq!(
                period.of(at(before)) + 1,
                period.of(at(after)),
                "{period} {after}"
            );
            assert_eq!(period.of(at(after)), period.of(at(after) + 1), "{period}");
        }
    }

    #[test]
    fn a_clock_that_is_mad_is_no_panic() {
        for seconds in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
            for period in PERIODS {
                period.of(seconds);
            }
        }
    }
}
