//! The permission of an endpoint against what a caller holds.

use super::{
    call::{Refusal, permitted},
    model::{access::Who, cluster::Model},
    table::endpoint::Check,
};

/// Refuses who does not fulfil the check of an endpoint; `text` gives the parameters that its paths name.
///
/// # Errors
/// 403.
pub(crate) fn permit(
    model: &Model,
    who: &Who,
    check: &Check,
    text: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Refusal> {
    match check {
        Check::World | Check::Everyone => Ok(()),
        Check::Perm(path, privileges) => {
            permitted(model, who, &fill(path, text), privileges, false)
        }
        Check::Any(path, privileges) => permitted(model, who, &fill(path, text), privileges, true),
        Check::PermIf(path, privileges, parameter) => match text(parameter) {
            Some(_) => permitted(model, who, &fill(path, text), privileges, false),
            None => Err(Refusal::Denied("Permission check failed".to_owned())),
        },
        Check::And(all) => all
            .iter()
            .try_for_each(|check| permit(model, who, check, text)),
        Check::Or(any) => {
            let mut last = Ok(());
            for check in *any {
                last = permit(model, who, check, text);
                if last.is_ok() {
                    break;
                }
            }
            last
        }
        Check::Modify(path) => permitted(
            model,
            who,
            &fill(path, text),
            &["Permissions.Modify"],
            false,
        ),
        Check::User("self") => match text("userid") {
            Some(user) if user == who.user => Ok(()),
            _ => Err(Refusal::Denied("Permission check failed".to_owned())),
        },
        Check::User(privilege) => {
            let realm = text("userid")
                .and_then(|user| user.rsplit_once('@').map(|(_, realm)| realm.to_owned()));
            permitted(
                model,
                who,
                &format!("/access/realm/{}", realm.unwrap_or_default()),
                &[privilege],
                false,
            )
        }
        Check::UserGroup(privileges) | Check::NewUserGroup(privileges) => {
            permitted(model, who, "/access/groups", privileges, false)
        }
    }
}

fn fill(path: &str, text: &dyn Fn(&str) -> Option<String>) -> String {
    let parts = path.split('/').map(|part| {
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            Some(name) => text(name).unwrap_or_default(),
            None => part.to_owned(),
        }
    });
    let path = parts.collect::<Vec<_>>().join("/");
    if path.len() > 1 {
        path.trim_end_matches('/').replace("//", "/")
    } else {
        path
    }
}
