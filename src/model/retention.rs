//! How often snapshots are taken, and how many of them are kept.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How often a dataset is snapshot. The names are those of the calendar's periods, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week, which begins on Monday.
    Weekly,
    /// Every month.
    Monthly,
}

impl Schedule {
    /// Its word in the inventory.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many snapshots are kept: the newest ones, and the newest one of each of so many hours, days, weeks, months and
/// years that have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Newest ones, whatever their dates; at least 1.
    pub last: u32,
    /// Hours.
    pub hourly: u32,
    /// Days.
    pub daily: u32,
    /// Weeks, from Monday.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
    /// Guards of rollbacks, the newest ones. None keeps them all.
    pub guards: Option<u32>,
}

impl Retention {
    /// What a dataset gets that names no other: two weeks of days, two months of weeks, a year of months.
    pub const STANDARD: Self = Self {
        last: 3,
        hourly: 24,
        daily: 14,
        weekly: 8,
        monthly: 12,
        yearly: 2,
        guards: None,
    };
}

impl Default for Retention {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "last {}", self.last.max(1))?;
        let counts = [
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        ];
        for (word, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, ", {word} {count}")?;
        }
        if let Some(guards) = self.guards {
            write!(f, ", guards {}", guards.max(1))?;
        }
        Ok(())
    }
}
