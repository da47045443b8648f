//! The lab's time: real, faster, or moved by hand.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Scales every delay of the lab, or waits for a test to move it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Scaled(f64),
    Manual(watch::Sender<f64>),
}

/// Where a clock that is moved by hand begins, in seconds since the epoch.
const BEGINNING: i64 = 1_795_195_945;

impl Clock {
    /// Real time with delays multiplied by a factor: 1 is the real node, 0.05 twenty times faster.
    pub fn scaled(factor: f64) -> Self {
        Self(Arc::new(Kind::Scaled(factor.max(0.0))))
    }

    /// Stands still until [`Clock::advance`].
    pub fn manual() -> Self {
        Self(Arc::new(Kind::Manual(watch::Sender::new(0.0))))
    }

    /// Moves a manual clock; does nothing to others.
    pub fn advance(&self, seconds: f64) {
        if let Kind::Manual(now) = &*self.0 {
            now.send_modify(|now| *now += seconds);
        }
    }

    /// Waits for so many of the node's seconds.
    pub(crate) async fn sleep(&self, seconds: f64) {
        match &*self.0 {
            Kind::Scaled(factor) => {
                tokio::time::sleep(Duration::from_secs_f64(seconds * factor)).await;
            }
            Kind::Manual(sender) => {
                let mut now = sender.subscribe();
                let until = *now.borrow() + seconds;
                // The sender lives as long as this clock, so waiting cannot fail.
                let _ = now.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Waits for a guest, whose own pace no factor changes: real seconds, unless the clock is moved by hand.
    pub(crate) async fn patience(&self, seconds: f64) {
        match &*self.0 {
            Kind::Scaled(_) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            Kind::Manual(_) => self.sleep(seconds).await,
        }
    }

    /// Seconds since the epoch.
    pub(crate) fn unix(&self) -> i64 {
        match &*self.0 {
            Kind::Scaled(_) => jiff::Timestamp::now().as_second(),
            Kind::Manual(now) => BEGINNING + whole(*now.borrow()),
        }
    }

    /// Real seconds per second of the node.
    pub(crate) fn scale(&self) -> f64 {
        match &*self.0 {
            Kind::Scaled(factor) => *factor,
            Kind::Manual(_) => 1.0,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a clock of a test stays near its beginning"
)]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}
