//! Who asks: API tokens, tickets and the token against cross-site requests.

use super::{form, model::access::Who, table::endpoint::Method, ticket, world::World};
use hyper::{
    Request,
    body::Incoming,
    header::{AUTHORIZATION, COOKIE},
};

/// A header as text.
pub(crate) fn header<'r>(request: &'r Request<Incoming>, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// Whether an API token was sent.
pub(crate) fn is_token(request: &Request<Incoming>) -> bool {
    header(request, AUTHORIZATION.as_str()).is_some_and(|value| value.starts_with("PVEAPIToken"))
}

/// Who asks, by token or ticket. Everybody may log in.
///
/// # Errors
/// The reason phrase of the 401.
pub(crate) fn authenticate(
    world: &World,
    request: &Request<Incoming>,
    method: Method,
    path: &str,
) -> Result<Who, String> {
    let nobody = Who {
        user: String::new(),
        token: None,
    };
    if let Some(value) =
        header(request, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("PVEAPIToken"))
    {
        let value = value.trim_start_matches(['=', ' ']);
        let failed = || "Authentication failed!".to_owned();
        let (full, secret) = value.rsplit_once('=').ok_or_else(failed)?;
        let (user, id) = full.split_once('!').ok_or_else(failed)?;
        return world.look(|model| {
            let token = model
                .access
                .users
                .get(user)
                .and_then(|user| user.tokens.get(id))
                .ok_or_else(failed)?;
            if token.secret != secret {
                return Err(failed());
            }
            Ok(Who {
                user: user.to_owned(),
                token: Some(id.to_owned()),
            })
        });
    }
    if path == "/access/ticket" && method == Method::Post {
        return Ok(nobody);
    }
    let cookies = header(request, COOKIE.as_str()).unwrap_or_default();
    let ticket = cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix("PVEAuthCookie="));
    let ticket = ticket
        .map(form::unescape_path)
        .ok_or_else(|| "No ticket".to_owned())?;
    let now = world.clock().unix();
    world.look(|model| {
        let user = ticket::read(&model.key, &ticket, now)?;
        let is_upload = path.ends_with("/upload");
        if method != Method::Get && !is_upload {
            let token = header(request, "csrfpreventiontoken").unwrap_or_default();
            if !ticket::is_csrf(&model.key, &user, token, now) {
                return Err("Permission denied - invalid csrf token".to_owned());
            }
        }
        Ok(Who { user, token: None })
    })
}
