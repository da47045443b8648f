//! When something runs that a timer starts: `daily 02:30`, `weekly sun 03:00`.

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Weekday, date},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A recurring time of day, by the clock of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Calendar {
    text: String,
    /// Days of the week, Monday first; none for every day.
    weekdays: Vec<Weekday>,
    month: Option<i8>,
    day: Option<i8>,
    /// None for every hour.
    hour: Option<i8>,
    minute: i8,
}

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACalendar {
    /// It makes no sense.
    #[error(
        "`{0}` is not a schedule: write `hourly`, `daily 02:30`, `weekly sun 03:00`, `monthly 1 04:00` or `yearly 01-31 04:00`"
    )]
    Unreadable(String),
    /// The day does not exist.
    #[error("`{0}` never comes: there is no such day")]
    Never(String),
}

/// When nothing else is said: at night, after the snapshots.
const HOUR: i8 = 2;
const MINUTE: i8 = 30;

impl FromStr for Calendar {
    type Err = NotACalendar;

    fn from_str(text: &str) -> Result<Self, NotACalendar> {
        let bad = || NotACalendar::Unreadable(text.to_owned());
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let (kind, mut rest) = words.split_first().ok_or_else(bad)?;
        let mut out = Self {
            text: words.join(" "),
            weekdays: Vec::new(),
            month: None,
            day: None,
            hour: Some(HOUR),
            minute: MINUTE,
        };
        if let Some((last, others)) = rest.split_last()
            && last.contains(':')
        {
            (out.hour, out.minute) = time(last).map(|(h, m)| (Some(h), m)).ok_or_else(bad)?;
            rest = others;
        }
        match (kind.as_str(), rest) {
            ("hourly", []) if words.len() == 1 => (out.hour, out.minute) = (None, 0),
            ("daily", []) => {}
            ("weekly", []) => out.weekdays = vec![Weekday::Sunday],
            ("weekly", [days]) => {
                out.weekdays = days
                    .split(',')
                    .map(weekday)
                    .collect::<Option<_>>()
                    .ok_or_else(bad)?;
                out.weekdays.sort_by_key(|day| day.to_monday_zero_offset());
                out.weekdays.dedup();
            }
            ("monthly", []) => out.day = Some(1),
            ("monthly", [day]) => out.day = Some(number(day, 99).ok_or_else(bad)?),
            ("yearly", [day]) => {
                let (month, day) = day.split_once('-').ok_or_else(bad)?;
                out.month = Some(number(month, 99).ok_or_else(bad)?);
                out.day = Some(number(day, 99).ok_or_else(bad)?);
            }
            _ => return Err(bad()),
        }
        // Every day of the calendar comes within these years, or never.
        if out.after(date(2024, 1, 1).at(0, 0, 0, 0)).is_none() {
            return Err(NotACalendar::Never(text.to_owned()));
        }
        Ok(out)
    }
}

impl TryFrom<String> for Calendar {
    type Error = NotACalendar;
    fn try_from(text: String) -> Result<Self, NotACalendar> {
        text.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.text
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Calendar {
    /// The first time after a moment; none when there is none within nine years.
    pub fn after(&self, moment: DateTime) -> Option<DateTime> {
        let Some(hour) = self.hour else {
            let whole = moment.date().at(moment.hour(), self.minute, 0, 0);
            return if whole > moment {
                Some(whole)
            } else {
                whole.checked_add(1.hour()).ok()
            };
        };
        let mut day = moment.date();
        for _ in 0..9 * 366 {
            let at = day.at(hour, self.minute, 0, 0);
            if at > moment && self.has(day) {
                return Some(at);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn has(&self, day: Date) -> bool {
        (self.weekdays.is_empty() || self.weekdays.contains(&day.weekday()))
            && self.month.is_none_or(|month| month == day.month())
            && self.day.is_none_or(|own| own == day.day())
    }

    /// What systemd writes for it in `OnCalendar=`.
    pub fn systemd(&self) -> String {
        let days: Vec<String> = self
            .weekdays
            .iter()
            .map(|day| {
                WEEKDAYS[usize::from(day.to_monday_zero_offset().unsigned_abs())]
                    .1
                    .to_owned()
            })
            .collect();
        let part = |value: Option<i8>| value.map_or_else(|| "*".to_owned(), |n| format!("{n:02}"));
        let lead = if days.is_empty() {
            String::new()
        } else {
            format!("{} ", days.join(","))
        };
        format!(
            "{lead}*-{}-{} {}:{:02}:00",
            part(self.month),
            part(self.day),
            part(self.hour),
            self.minute
        )
    }
}

const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "Mon"),
    (Weekday::Tuesday, "Tue"),
    (Weekday::Wednesday, "Wed"),
    (Weekday::Thursday, "Thu"),
    (Weekday::Friday, "Fri"),
    (Weekday::Saturday, "Sat"),
    (Weekday::Sunday, "Sun"),
];

fn weekday(word: &str) -> Option<Weekday> {
    let short = word.get(..3)?;
    let found = WEEKDAYS
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(short));
    found.map(|(day, _)| *day)
}

fn number(text: &str, most: i8) -> Option<i8> {
    text.parse().ok().filter(|n| (1..=most).contains(n))
}

fn time(text: &str) -> Option<(i8, i8)> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute) && text.len() <= 5)
        .then_some((hour, minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(text: &str) -> Calendar {
        text.parse().expect("a schedule")
    }

    fn after(text: &str, moment: &str) -> String {
        let moment: DateTime = moment.parse().expect("a moment");
        calendar(text).after(moment).expect("a time").to_string()
    }

    #[test]
    fn the_next_time_is_after_the_moment_and_on_the_right_day() {
        assert_eq!(
            after("daily 02:30", "2026-11-30T02:30:00"),
            "2026-12-01T02:30:00"
        );
        assert_eq!(
            after("hourly", "2026-11-30T02:30:00"),
            "2026-11-30T03:00:00"
        );
        assert_eq!(
            after("weekly sun 03:00", "2026-11-30T02:30:00"),
            "2026-12-06T03:00:00"
        );
        assert_eq!(
            after("monthly 31 01:00", "2026-11-30T02:30:00"),
            "2026-12-31T01:00:00"
        );
        assert_eq!(
            after("yearly 02-29", "2026-11-30T02:30:00"),
            "2028-02-29T02:30:00"
        );
    }

    #[test]
    fn what_never_comes_and_what_is_no_schedule_are_told_apart() {
        for never in ["yearly 02-30", "monthly 32", "yearly 13-01 01:00"] {
            assert!(
                matches!(never.parse::<Calendar>(), Err(NotACalendar::Never(_))),
                "{never}"
            );
        }
        for bad in [
            "",
            "nightly",
            "daily 25:00",
            "weekly xyz",
            "hourly 02:00",
            "monthly 0",
            "daily 2:3:4",
        ] {
            assert!(
                matches!(bad.parse::<Calendar>(), Err(NotACalendar::Unreadable(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn systemd_reads_the_same() {
        // Each was given to `systemd-analyze calendar`, which normalises them to themselves.
        assert_eq!(calendar("daily").systemd(), "*-*-* 02:30:00");
        assert_eq!(
            calendar("weekly fri,mon 3:05").systemd(),
            "Mon,Fri *-*-* 03:05:00"
        );
        assert_eq!(calendar("yearly 01-31 04:00").systemd(), "*-01-31 04:00:00");
        assert_eq!(calendar("hourly").systemd(), "*-*-* *:00:00");
    }
}
