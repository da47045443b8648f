//! One request, built from its row in the table.

use super::{
    encode,
    endpoint::{Endpoint, Method},
    error::ProxmoxError,
};
use std::fmt;

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) endpoint: &'static Endpoint,
    path: String,
    parameters: Vec<(String, String)>,
    /// The first parameter that the row does not list.
    stray: Option<String>,
    /// Whether what stands beside `data` in the answer is wanted too.
    pub(super) whole: bool,
}

impl Request {
    /// Fills the path template's names, in order.
    pub(super) fn new(endpoint: &'static Endpoint, names: &[&str]) -> Self {
        let mut names = names.iter();
        let path: Vec<String> = endpoint
            .path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    let name = names
                        .next()
                        .expect("one name for each placeholder of the path");
                    encode::segment(name)
                } else {
                    part.to_owned()
                }
            })
            .collect();
        assert!(
            names.next().is_none(),
            "one placeholder for each name: {}",
            endpoint.path
        );
        Self {
            endpoint,
            path: path.join("/"),
            parameters: Vec::new(),
            stray: None,
            whole: false,
        }
    }

    /// The answer with what stands beside its `data`.
    pub(super) fn whole(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// Adds a parameter. A name given twice becomes an array on the far side.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if self.stray.is_none() && !self.endpoint.takes(name) {
            self.stray = Some(name.to_owned());
        }
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a parameter that may be absent.
    pub(super) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds parameters in order.
    pub(super) fn with_all<'a>(
        self,
        pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        pairs
            .into_iter()
            .fold(self, |request, (name, value)| request.with(name, value))
    }

    /// Path with its query: GET and DELETE carry their parameters there, and a body on them is refused with 501.
    pub(super) fn target(&self) -> String {
        match self.endpoint.method {
            Method::Get | Method::Delete if !self.parameters.is_empty() => {
                format!("{}?{}", self.path, encode::pairs(&self.parameters))
            }
            Method::Get | Method::Delete | Method::Post | Method::Put => self.path.clone(),
        }
    }

    /// The form body. None without parameters: an empty body must have no content type either.
    pub(super) fn form(&self) -> Option<String> {
        match self.endpoint.method {
            Method::Post | Method::Put if !self.parameters.is_empty() => {
                Some(encode::pairs(&self.parameters))
            }
            Method::Get | Method::Delete | Method::Post | Method::Put => None,
        }
    }

    /// The parameters as given.
    pub(super) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Refuses a request with a parameter that its row does not list.
    pub(super) fn checked(&self) -> Result<(), ProxmoxError> {
        match &self.stray {
            None => Ok(()),
            Some(parameter) => Err(ProxmoxError::NotAParameter {
                request: self.to_string(),
                parameter: parameter.clone(),
            }),
        }
    }
}

impl fmt::Display for Request {
    /// Method and path, never parameters: they may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.endpoint.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::proxmox::endpoint;

    #[test]
    fn parameters_go_where_the_method_wants_them() {
        let delete = Request::new(&endpoint::CLUSTER_IPSET_DELETE, &["lan"]).with("force", "1");
        assert_eq!(delete.target(), "/cluster/firewall/ipset/lan?force=1");
        assert_eq!(delete.form(), None);
        let start = Request::new(&endpoint::VM_START, &["pve", "110"]);
        assert_eq!(
            (start.target(), start.form()),
            ("/nodes/pve/qemu/110/status/start".to_owned(), None)
        );
        let resize = Request::new(&endpoint::VM_RESIZE, &["pve", "110"]).with("size", "+1G");
        assert_eq!(resize.form().as_deref(), Some("size=%2B1G"));
        assert_eq!(resize.to_string(), "PUT /nodes/pve/qemu/110/resize");
    }

    #[test]
    fn an_unlisted_parameter_is_refused_before_it_is_sent() {
        let request = Request::new(&endpoint::VM_CREATE, &["pve"])
            .with("vmid", "110")
            .with("args", "-s");
        let error = request.checked().expect_err("root's alone");
        assert_eq!(
            error.to_string(),
            "build POST /nodes/pve/qemu: `args` is not one of its parameters"
        );
        assert_eq!(
            error.delivery(),
            crate::providers::proxmox::Delivery::NeverSent
        );
    }
}
