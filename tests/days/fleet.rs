//! Many stacks on several hosts: what a look at them costs, and what a change of one file touches.

use crate::{
    forty::{self, HOSTS},
    lab::Ran,
};
use serde_json::Value;
use std::fs;

fn execs(report: &Value, host: usize) -> u64 {
    let found = &report["visits"][format!("h{host}")]["execs"];
    found.as_u64().expect("counted")
}

#[test]
fn forty_stacks_on_five_hosts_cost_one_exec_a_host() {
    let lab = forty::running();
    let folder = lab.path(forty::TEMPLATES);
    let before = lab.report();
    let plan = |args: &[&str]| -> Ran {
        lab.run(&[&["--lab", "stack", "plan", "--exit-code"], args].concat())
    };
    plan(&[]).says(0, &["Nothing to change"]);
    let after = lab.report();
    for host in 1..=HOSTS {
        assert_eq!(execs(&after, host) - execs(&before, host), 1, "h{host}");
    }
    fs::write(folder.join("own/site.conf"), "# {{ stack }} is another\n").expect("written");
    plan(&[]).says(4, &["app0: site.conf", "1 change on"]);
    plan(&["app1", "app2"]).says(0, &["Nothing to change"]);
}
