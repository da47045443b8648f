//! References -> values.

use super::{age_file, error::SecretError, identity::Identities, sops};
use crate::model::{
    ids::SecretName,
    secret::{SecretSource, SecretValues},
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What references refer to.
pub struct Surroundings<'a> {
    /// Relative paths start here: the inventory's folder.
    pub folder: &'a Path,
    /// Environment variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The operator's age keys.
    pub identities: Identities,
}

/// Finds the values of the names.
///
/// # Errors
/// Every secret that has no value, with why.
pub fn resolve(
    sources: &BTreeMap<SecretName, SecretSource>,
    names: &[SecretName],
    surroundings: &Surroundings<'_>,
) -> Result<SecretValues, Vec<SecretError>> {
    let mut files = Opened {
        surroundings,
        maps: BTreeMap::new(),
    };
    let (mut values, mut errors) = (SecretValues::default(), Vec::new());
    for name in names {
        let found = match sources.get(name) {
            Some(source) => files.one(name, source),
            None => Err(SecretError::NotDeclared { name: name.clone() }),
        };
        match found {
            Ok(value) if value.is_empty() => errors.push(SecretError::Empty { name: name.clone() }),
            Ok(value) => values.insert(name.clone(), SecretString::from(value)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

/// Files that were decrypted already, or could not be.
struct Opened<'a> {
    surroundings: &'a Surroundings<'a>,
    maps: BTreeMap<PathBuf, Result<BTreeMap<String, String>, String>>,
}

impl Opened<'_> {
    fn one(&mut self, name: &SecretName, source: &SecretSource) -> Result<String, SecretError> {
        match source {
            SecretSource::Age { file, key } => self.in_map(name, file, key, |bytes, identities| {
                age_file::decrypt(bytes, identities)
            }),
            SecretSource::Sops { file, key } => {
                self.in_map(name, file, key, |bytes, identities| {
                    sops::decrypt(bytes, identities)
                })
            }
            SecretSource::Env(variable) => self
                .surroundings
                .variables
                .get(variable)
                .cloned()
                .ok_or_else(|| SecretError::NoVariable {
                    name: name.clone(),
                    variable: variable.clone(),
                }),
            SecretSource::File(file) => {
                let path = self.surroundings.folder.join(file);
                let text = std::fs::read_to_string(&path).map_err(|source| SecretError::File {
                    name: name.clone(),
                    path,
                    source,
                })?;
                Ok(without_newline(text))
            }
            SecretSource::Command(argv) => run(name, argv, self.surroundings.folder),
        }
    }

    fn in_map(
        &mut self,
        name: &SecretName,
        file: &str,
        key: &str,
        open: impl Fn(&[u8], &Identities) -> Result<BTreeMap<String, String>, String>,
    ) -> Result<String, SecretError> {
        let path = self.surroundings.folder.join(file);
        if !self.maps.contains_key(&path) {
            let bytes = std::fs::read(&path).map_err(|source| SecretError::File {
                name: name.clone(),
                path: path.clone(),
                source,
            })?;
            self.maps
                .insert(path.clone(), open(&bytes, &self.surroundings.identities));
        }
        match self.maps.get(&path) {
            Some(Ok(map)) => map.get(key).cloned().ok_or_else(|| SecretError::NoKey {
                name: name.clone(),
                path,
                key: key.to_owned(),
            }),
            Some(Err(why)) => Err(SecretError::Decrypt {
                name: name.clone(),
                path,
                why: why.clone(),
            }),
            None => Err(SecretError::Decrypt {
                name: name.clone(),
                path,
                why: "it was not read".to_owned(),
            }),
        }
    }
}

fn run(name: &SecretName, argv: &[String], folder: &Path) -> Result<String, SecretError> {
    let [program, args @ ..] = argv else {
        return Err(SecretError::Command {
            name: name.clone(),
            program: String::new(),
            why: "the command is empty".to_owned(),
        });
    };
    let fail = |why: String| SecretError::Command {
        name: name.clone(),
        program: program.clone(),
        why,
    };
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(output.status.to_string()));
    }
    String::from_utf8(output.stdout)
        .map(without_newline)
        .map_err(|_| fail("its output is not text".to_owned()))
}

fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).expect("valid")
    }

    #[test]
    fn every_source_gives_a_value_and_every_missing_one_is_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("file"), "from file\n").expect("writes");
        let sources = BTreeMap::from([
            (name("a"), SecretSource::File("file".to_owned())),
            (name("b"), SecretSource::Env("B".to_owned())),
            (
                name("c"),
                SecretSource::Command(vec!["echo".to_owned(), "from command".to_owned()]),
            ),
            (name("d"), SecretSource::Env("MISSING".to_owned())),
            (name("e"), SecretSource::Command(vec!["false".to_owned()])),
            (name("f"), SecretSource::File("absent".to_owned())),
            (name("g"), SecretSource::Env("EMPTY".to_owned())),
        ]);
        let variables = BTreeMap::from([
            ("B".to_owned(), "from environment".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]);
        let surroundings = Surroundings {
            folder: folder.path(),
            variables: &variables,
            identities: Identities::read(&[]),
        };
        let good =
            resolve(&sources, &[name("a"), name("b"), name("c")], &surroundings).expect("all");
        assert_eq!(good.expose(&name("a")), Some("from file"));
        assert_eq!(good.expose(&name("b")), Some("from environment"));
        assert_eq!(good.expose(&name("c")), Some("from command"));
        assert!(!format!("{good:?}").contains("from"), "{good:?}");
        let names = [name("d"), name("e"), name("f"), name("g"), name("h")];
        assert_eq!(
            resolve(&sources, &names, &surroundings)
                .expect_err("none")
                .len(),
            5
        );
    }
}
