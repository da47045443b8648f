//! Background jobs as their owners and auditors see them.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{cluster::Model, task::Task},
};
use serde_json::json;

fn find<'m>(model: &'m Model, call: &Call) -> Result<&'m Task, Refusal> {
    let task = model.tasks.find(call.text("upid"));
    let task = task.ok_or_else(|| Refusal::parameter("upid", "no such task"))?;
    if task.who != call.who {
        call.needs(model, &format!("/nodes/{}", task.node), &["Sys.Audit"])?;
    }
    Ok(task)
}

pub(crate) fn status(model: &Model, call: &Call) -> Answer {
    Outcome::data(find(model, call)?.status())
}

pub(crate) fn log(model: &Model, call: &Call) -> Answer {
    let task = find(model, call)?;
    let start = call.number("start").unwrap_or(0);
    let limit = call.number("limit").unwrap_or(50);
    let (page, total) = task.page(start, limit);
    let mut outcome = Outcome {
        data: json!(page),
        ..Outcome::default()
    };
    outcome.beside.insert("total".to_owned(), json!(total));
    Ok(outcome)
}

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let auditor = call.may(model, &format!("/nodes/{}", call.node()), &["Sys.Audit"]);
    let source = call.get("source").unwrap_or("archive");
    let fits = |task: &&Task| {
        let state = match source {
            "active" => task.exit.is_none(),
            "all" => true,
            _ => task.exit.is_some(),
        };
        let failed = task.exit.as_deref().is_some_and(|exit| exit != "OK");
        state
            && task.node == call.node()
            && (auditor || task.who == call.who)
            && call.get("vmid").is_none_or(|vmid| task.id == vmid)
            && call.get("typefilter").is_none_or(|kind| task.kind == kind)
            && call
                .get("userfilter")
                .is_none_or(|user| task.who.full().contains(user))
            && (!call.is_on("errors") || failed)
            && call
                .number::<i64>("since")
                .is_none_or(|since| task.began() >= since)
            && call
                .number::<i64>("until")
                .is_none_or(|until| task.began() <= until)
    };
    let all: Vec<&Task> = model.tasks.newest_first().filter(fits).collect();
    let start = call.number("start").unwrap_or(0);
    let limit = call.number("limit").unwrap_or(50);
    let page: Vec<_> = all
        .iter()
        .skip(start)
        .take(limit)
        .map(|task| task.entry())
        .collect();
    let mut outcome = Outcome {
        data: json!(page),
        ..Outcome::default()
    };
    // Of running jobs the real one gives no total.
    if source != "active" {
        let total = json!(all.len());
        outcome.beside.insert("total".to_owned(), total);
    }
    Ok(outcome)
}
