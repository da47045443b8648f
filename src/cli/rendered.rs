//! What the files of stacks say on their hosts, beside what they will say.

use super::session::Session;
use crate::model::release::Release;
use crate::plan::{
    Plan,
    change::{Action, Operation},
};
use crate::providers::compose::{Compose, ComposeRead as _};
use crate::view::human::FileDiff;
use futures_util::future::join_all;

/// The differing files of every stack that gets another release; one exec for each such stack. Files with secrets are
/// named and not read. A host that gives no answer here has no differences: the plan itself says what is wrong with it.
pub(crate) async fn diffs(session: &Session, plan: &Plan) -> Vec<FileDiff> {
    let updates = plan.changes.iter().filter_map(|change| {
        let Operation::DeployStack(release) = &change.operation else {
            return None;
        };
        let is_other = change.fields.iter().any(|field| field.name == "release");
        (change.action == Action::Update && is_other).then_some(release)
    });
    let looks = updates.map(|release| of_stack(session, release));
    join_all(looks).await.into_iter().flatten().collect()
}

async fn of_stack(session: &Session, release: &Release) -> Vec<FileDiff> {
    let Some(shell) = session.hosts.get(&release.host) else {
        return Vec::new();
    };
    // What infra writes itself says nothing that the plan does not.
    let files = || {
        release
            .files
            .iter()
            .filter(|file| file.path != crate::release::OVERRIDE)
    };
    let open: Vec<String> = files()
        .filter(|file| !file.content.has_secrets())
        .map(|file| file.path.clone())
        .collect();
    let Ok(seen) = Compose::new(shell).files(&release.stack, &open).await else {
        return Vec::new();
    };
    files()
        .filter(|file| !file.content.has_secrets())
        .map(|file| FileDiff {
            stack: release.stack.to_string(),
            path: file.path.clone(),
            before: seen.get(&file.path).cloned(),
            after: file.content.redacted(),
        })
        .filter(|diff| diff.before.as_ref() != Some(&diff.after))
        .collect()
}
