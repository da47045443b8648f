//! Nothing opens and nothing closes while a change is made.

use crate::bench::{API, Bench, GUEST, NODE, On, right, said};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// The longest that an allowed cell may look closed: a packet lost while UFW loads its rules anew is sent again after
/// one second.
const MOMENT: Duration = Duration::from_millis(1_500);

/// What the whole LAN may reach, served for as long as the prober asks.
const SITE: &str = "192.168.1.20:8080";
const SERVE: &str = "systemd-run --quiet --unit=site python3 -m http.server 8080";

/// Knocks all the time while rules come and go on every layer. Gives the longest time for which an allowed cell was closed.
pub(crate) fn none_opens(bench: &Bench) -> Result<f64, String> {
    let served = bench.on(On::Guest, SERVE);
    if !served.status.success() {
        return Err(said(&served));
    }
    bench.until("the site", 20, || bench.is_open(SITE))?;
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let allowed: Vec<_> = [API, SITE]
            .into_iter()
            .map(|target| scope.spawn(|| longest(&done, target, |t| bench.is_open(t))))
            .collect();
        // The router stands in the LAN and is no operator.
        let forbidden: Vec<_> = [API, NODE, GUEST]
            .into_iter()
            .map(|target| scope.spawn(|| ever(&done, target, |t| bench.router_comes_in(t))))
            .collect();
        let changed = changes(bench);
        done.store(true, Ordering::SeqCst);
        let mut worst = (Duration::ZERO, "");
        for prober in allowed {
            worst = worst.max(prober.join().expect("prober"));
        }
        let opened: Vec<&str> = forbidden
            .into_iter()
            .filter_map(|prober| prober.join().expect("prober"))
            .collect();
        changed.map(|()| (worst, opened))
    });
    bench.on(On::Guest, "systemctl stop site");
    let ((closed, target), opened) = outcome?;
    if !opened.is_empty() {
        return Err(format!("opened for the router: {}", opened.join(", ")));
    }
    if closed > MOMENT {
        return Err(format!(
            "{target} was closed for {:.1} s",
            closed.as_secs_f64()
        ));
    }
    Ok(closed.as_secs_f64())
}

/// A flow comes, another goes, and all is as before.
fn changes(bench: &Bench) -> Result<(), String> {
    let more = bench.inventory("site: 8080/tcp", "site: [8080/tcp, 8443/tcp]");
    for inventory in [more, right()] {
        let mut child = bench.apply(&inventory, &[]);
        let status = child.0.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("{status}\n{}", bench.log()));
        }
    }
    Ok(())
}

fn longest<'a>(
    done: &AtomicBool,
    target: &'a str,
    comes_in: impl Fn(&str) -> bool,
) -> (Duration, &'a str) {
    let (mut worst, mut since) = (Duration::ZERO, None::<Instant>);
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        if comes_in(target) {
            if let Some(closed) = since.take() {
                worst = worst.max(closed.elapsed());
            }
        } else {
            since.get_or_insert(begun);
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    (worst, target)
}

fn ever<'a>(
    done: &AtomicBool,
    target: &'a str,
    comes_in: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let mut opened = false;
    while !done.load(Ordering::SeqCst) {
        opened |= comes_in(target);
    }
    opened.then_some(target)
}
