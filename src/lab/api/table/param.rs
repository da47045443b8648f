//! What a parameter may be, as data: the words of the API's own schema.

/// Lists of parameters that are read as one.
pub(crate) type Params = &'static [&'static [Param]];

/// One parameter, or a numbered family of them (`net0` to `net31`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// Name; without the number for a family.
    pub(crate) name: &'static str,
    /// How many numbered names there are; 0 for a single name.
    pub(crate) family: u16,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// Whether it must be given.
    pub(crate) required: bool,
    /// What holds when it is not given.
    pub(crate) default: Option<&'static str>,
    /// Another parameter that must come with it.
    pub(crate) requires: Option<&'static str>,
    /// In a property string: the property whose name may be left out.
    pub(crate) default_key: bool,
    /// In a property string: this is another name of that property.
    pub(crate) alias: Option<&'static str>,
    /// In a property string: using this name also sets that property to the name (`virtio=MAC` sets `model`).
    pub(crate) key_alias: Option<&'static str>,
}

/// Shape and limits of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The shape.
    pub(crate) shape: Shape,
    /// Least number, or length of a text.
    pub(crate) min: Option<i64>,
    /// Greatest number, or length of a text.
    pub(crate) max: Option<i64>,
    /// Name of a format, see `format.rs`.
    pub(crate) format: Option<&'static str>,
    /// A pattern of the schema, see `pattern.rs`.
    pub(crate) pattern: Option<&'static str>,
}

/// The shapes of values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// 0 or 1.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A comma-separated list of properties.
    Properties(Params),
    /// Several texts, which may be property strings.
    List(Option<Params>),
}

pub(super) const BOOLEAN: Kind = Kind::of(Shape::Boolean);
pub(super) const INTEGER: Kind = Kind::of(Shape::Integer);
pub(super) const NUMBER: Kind = Kind::of(Shape::Number);
pub(super) const TEXT: Kind = Kind::of(Shape::Text);
pub(super) const LIST: Kind = Kind::of(Shape::List(None));

pub(super) const fn word(words: &'static [&'static str]) -> Kind {
    Kind::of(Shape::Word(words))
}

pub(super) const fn properties(params: Params) -> Kind {
    Kind::of(Shape::Properties(params))
}

pub(super) const fn list(params: Params) -> Kind {
    Kind::of(Shape::List(Some(params)))
}

pub(super) const fn opt(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        family: 0,
        kind,
        required: false,
        default: None,
        requires: None,
        default_key: false,
        alias: None,
        key_alias: None,
    }
}

pub(super) const fn req(name: &'static str, kind: Kind) -> Param {
    Param {
        required: true,
        ..opt(name, kind)
    }
}

pub(super) const fn alias(name: &'static str, of: &'static str) -> Param {
    Param {
        alias: Some(of),
        ..opt(name, TEXT)
    }
}

impl Kind {
    const fn of(shape: Shape) -> Self {
        Self {
            shape,
            min: None,
            max: None,
            format: None,
            pattern: None,
        }
    }

    pub(super) const fn min(self, least: i64) -> Self {
        Self {
            min: Some(least),
            ..self
        }
    }

    pub(super) const fn max(self, greatest: i64) -> Self {
        Self {
            max: Some(greatest),
            ..self
        }
    }

    pub(super) const fn format(self, name: &'static str) -> Self {
        Self {
            format: Some(name),
            ..self
        }
    }

    pub(super) const fn pattern(self, pattern: &'static str) -> Self {
        Self {
            pattern: Some(pattern),
            ..self
        }
    }
}

impl Param {
    pub(super) const fn family(self, size: u16) -> Self {
        Self {
            family: size,
            ..self
        }
    }

    pub(super) const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn requires(self, other: &'static str) -> Self {
        Self {
            requires: Some(other),
            ..self
        }
    }

    pub(super) const fn by_default(self) -> Self {
        Self {
            default_key: true,
            ..self
        }
    }

    pub(super) const fn naming(self, property: &'static str) -> Self {
        Self {
            key_alias: Some(property),
            ..self
        }
    }

    /// Whether a given name is this parameter's.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        if self.family == 0 {
            return self.name == name;
        }
        name.strip_prefix(self.name).is_some_and(|digits| {
            let plain = digits == "0" || !digits.starts_with('0');
            plain
                && digits
                    .parse::<u16>()
                    .is_ok_and(|number| number < self.family)
        })
    }

    /// Every name that it stands for.
    pub(crate) fn names(&self) -> Vec<String> {
        if self.family == 0 {
            vec![self.name.to_owned()]
        } else {
            (0..self.family)
                .map(|number| format!("{}{number}", self.name))
                .collect()
        }
    }
}

/// Finds a parameter by a given name.
pub(crate) fn find(params: Params, name: &str) -> Option<&'static Param> {
    params
        .iter()
        .flat_map(|list| list.iter())
        .find(|param| param.is_named(name))
}
