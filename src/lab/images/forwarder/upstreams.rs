//! Which mirrors the forwarder knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Mirror host -> where it really is (`http://host`, without a slash at the end).
pub type Upstreams = BTreeMap<String, String>;

/// The mirrors that the apt sources below these roots name (`/` for the machine itself, a guest's base image): every
/// plain `http` host among them. Sources that cannot be read count for nothing.
pub fn hosts<'a>(roots: impl IntoIterator<Item = &'a Path>) -> Upstreams {
    let mut found = BTreeSet::new();
    for root in roots {
        let apt = root.join("etc/apt");
        let mut files = vec![apt.join("sources.list")];
        if let Ok(entries) = std::fs::read_dir(apt.join("sources.list.d")) {
            files.extend(entries.flatten().map(|entry| entry.path()));
        }
        for file in files {
            let is_source = file
                .extension()
                .is_some_and(|e| e == "list" || e == "sources");
            if let Some(text) = is_source
                .then(|| std::fs::read_to_string(&file).ok())
                .flatten()
            {
                found.extend(named(&text));
            }
        }
    }
    found
        .into_iter()
        .map(|host| {
            let origin = format!("http://{host}");
            (host, origin)
        })
        .collect()
}

/// The `http` hosts of one file, in either of apt's two formats.
fn named(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.trim_start_matches("URIs:").strip_prefix("http://"))
        .filter_map(|rest| rest.split(['/', ':']).next())
        .filter(|host| !host.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_their_hosts_and_comments_name_none() {
        let text = "Types: deb\n# http://old.example/debian\nURIs: http://a.example/debian http://b.example:8080/x\n  http://c.example\nSuites: trixie\n\ndeb [signed-by=/k] http://D.example/debian trixie main\ndeb https://secure.example/debian trixie main\n";
        let hosts: Vec<String> = named(text).into_iter().collect();
        assert_eq!(hosts, ["a.example", "b.example", "c.example", "d.example"]);
    }

    #[test]
    fn sources_are_read_below_each_root() {
        let root = tempfile::tempdir().expect("folder");
        let folder = root.path().join("etc/apt/sources.list.d");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("x.sources"), "URIs: http://a.example/debian\n")
            .expect("written");
        std::fs::write(folder.join("x.sources.save"), "URIs: http://b.example/\n")
            .expect("written");
        let found = hosts([root.path(), Path::new("/nowhere")]);
        let expected = BTreeMap::from([("a.example".to_owned(), "http://a.example".to_owned())]);
        assert_eq!(found, expected);
    }
}
