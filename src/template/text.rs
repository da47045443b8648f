//! Template text and context -> content.

use super::{
    code::{FAILED, SECRET_ALTERED, SYNTAX},
    filter, name,
    place::place,
    secret,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{ids::SecretName, secret::Content};
use serde_json::Value;
use std::collections::BTreeSet;
use tera::{Context, ErrorKind, ReportError, Tera};

/// Renders one template. `file` is its path as the owner knows it; `context` is an object; `{{ secrets.NAME }}` works for the
/// secrets that are known.
///
/// # Errors
/// Every problem that can be seen, each with its place: undefined names, bad syntax, unknown secrets, failing filters.
pub fn render(
    file: &str,
    text: &str,
    context: &Value,
    secrets: &BTreeSet<SecretName>,
) -> Result<Content, Vec<Diagnostic>> {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    filter::register(&mut tera);
    tera.add_raw_template(file, text)
        .map_err(|error| vec![diagnostic(file, text, &error, SYNTAX)])?;

    let mut context = context.clone();
    if let Value::Object(fields) = &mut context {
        fields.insert("secrets".to_owned(), secret::markers(secrets));
    }
    let unknown = name::check(file, text, &context);
    if !unknown.is_empty() {
        return Err(unknown);
    }

    let context = Context::from_serialize(&context)
        .map_err(|error| vec![diagnostic(file, text, &error, FAILED)])?;
    let rendered = tera
        .render(file, &context)
        .map_err(|error| vec![diagnostic(file, text, &error, FAILED)])?;
    secret::cut(file, &rendered, secrets).map_err(|altered| vec![altered])
}

fn diagnostic(file: &str, text: &str, error: &tera::Error, code: Code) -> Diagnostic {
    let report: Option<&ReportError> =
        if let ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) = error.kind() {
            Some(report)
        } else {
            None
        };
    let message = report.map_or_else(|| error.to_string(), |report| report.message().to_owned());
    let mut first = message.lines().next().unwrap_or_default().trim().to_owned();
    let code = if first.contains(filter::NOT_A_SECRET) {
        SECRET_ALTERED
    } else {
        code
    };
    if first.is_empty() {
        "the template cannot be rendered".clone_into(&mut first);
    }
    let notes: Vec<&str> = message
        .lines()
        .skip(1)
        .filter(|l| !l.trim().is_empty())
        .collect();
    let mut out = Diagnostic::error(code, first);
    if let Some(report) = report {
        out = out.at(&place(file, text, &report.span().range), "here");
    }
    if notes.is_empty() {
        out
    } else {
        out.help(notes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> BTreeSet<SecretName> {
        ["db_password", "proxy-key"]
            .map(|name| SecretName::new(name).expect("valid"))
            .into()
    }

    fn context() -> Value {
        json!({
            "stack": "immich",
            "ml": false,
            "host": {"name": "intranet", "address": "192.168.1.20"},
            "routes": [{"name": "a.home.arpa", "to": "web"}, {"name": "b.home.arpa", "to": "api", "body": "0"}],
            "services": {"web": {"port": 80}, "api": {"port": 8080}},
        })
    }

    fn text(template: &str) -> String {
        render("t.conf", template, &context(), &known())
            .expect("renders")
            .redacted()
    }

    fn problems(template: &str) -> Vec<String> {
        render("t.conf", template, &context(), &known())
            .expect_err("has problems")
            .into_iter()
            .map(|d| {
                let at = d.labels.first().map_or_else(String::new, |label| {
                    format!("{}:{} ", label.place.line, label.place.column)
                });
                let help = d.help.map(|h| format!(" ({h})")).unwrap_or_default();
                format!("{} {at}{}{help}", d.code.0, d.summary)
            })
            .collect()
    }

    #[test]
    fn loops_conditions_and_filters_render() {
        assert_eq!(
            text(
                "{% for r in routes %}{{ r.name }}={{ services[r.to].port }}{% if r?.body %}!{% endif %};{% endfor %}"
            ),
            "a.home.arpa=80;b.home.arpa=8080!;"
        );
        assert_eq!(
            text("{{ host.name | yaml }} {{ \"it's\" | sh }} {{ routes[0] | json }}"),
            r#""intranet" 'it'\''s' {"name":"a.home.arpa","to":"web"}"#
        );
        assert_eq!(
            text("{{ \"10.8.0.7/22\" | network_address }} {{ \"10.8.0.0/22\" | netmask }}"),
            "10.8.0.0 255.255.252.0"
        );
        assert_eq!(
            text("<a href=\"{{ host.address }}\">&"),
            "<a href=\"192.168.1.20\">&"
        );
        assert_eq!(
            text("{% if nothing is defined %}x{% else %}y{% endif %}"),
            "y"
        );
        assert_eq!(
            text("{% set x = ml %}{% if x or not ml %}{{ x }}{% endif %}"),
            "false"
        );
    }

    /// TPL001.
    #[test]
    fn an_undefined_name_is_an_error_wherever_it_stands() {
        for template in [
            "{{ stakc }}",
            "{% if stakc %}{% endif %}",
            "{% if ml or stakc %}{% endif %}",
            "{% if stakc == 'x' %}{% endif %}",
            "{{ stakc | default(value='x') }}",
            "{% for x in stakc %}{% endfor %}",
            "{% set x = stakc %}",
            "{{ 'a' if stakc else 'b' }}",
            "{{ [stakc] | json }}",
        ] {
            let found = problems(template);
            assert_eq!(found.len(), 1, "{template}: {found:?}");
            assert!(
                found[0].starts_with("TPL001 1:") && found[0].ends_with("(did you mean `stack`?)"),
                "{template}: {found:?}"
            );
        }
    }

    #[test]
    fn an_undefined_field_is_an_error_even_in_a_condition() {
        assert_eq!(
            problems(
                "a\n{% if host.adress %}{% endif %}{% for r in routes %}{% if r.body %}{% endif %}{% endfor %}"
            ),
            [
                "TPL001 2:7 `host` has no `adress` (did you mean `address`?)",
                "TPL001 2:59 `r` has no `body` (there is `name`, `to`)",
            ]
        );
        assert_eq!(
            problems("{{ services[\"wbe\"].port }}{{ host.name.first }}"),
            [
                "TPL001 1:4 `services` has no `wbe` (did you mean `web`?)",
                "TPL001 1:30 `host.name` is not a map, so it has no `first` (nothing can be read from `host.name`)",
            ]
        );
    }

    #[test]
    fn what_a_condition_asked_for_may_be_used_inside_it() {
        let inside = "{% for r in routes %}{% if r?.body %}{% for x in [r.body] %}{{ x }}{% endfor %}{% endif %}{% endfor %}";
        assert_eq!(text(inside), "0");
        let after = "{% for r in routes %}{% if r?.body %}{% else %}{% if r.body %}{% endif %}{% endif %}{{ r.body }}{% endfor %}";
        assert_eq!(problems(after).len(), 2);
        assert_eq!(
            text("{% if ml or not ml %}{% set x = 1 %}{% endif %}{{ x }}"),
            "1"
        );
    }

    /// TPL002.
    #[test]
    fn bad_syntax_is_located() {
        let found = problems("ok\n{{ stack ");
        assert!(found[0].starts_with("TPL002 2:"), "{found:?}");
        assert!(problems("{% if ml %}x")[0].starts_with("TPL002 "));
    }

    /// TPL003.
    #[test]
    fn an_unknown_secret_is_an_error() {
        assert_eq!(
            problems("{{ secrets.db_pasword }}"),
            [
                "TPL003 1:4 no secret of this system is called `db_pasword` (did you mean `db_password`?)"
            ]
        );
    }

    /// TPL004.
    #[test]
    fn a_name_behind_a_computed_index_fails_while_rendering() {
        let found = problems("{% for r in routes %}{{ services[r.name].port }}{% endfor %}");
        assert!(found[0].starts_with("TPL004 1:"), "{found:?}");
        let found = problems("{{ stack | netmask }}");
        assert!(found[0].contains("is not an IPv4 network"), "{found:?}");
    }

    /// TPL005.
    #[test]
    fn a_secret_is_a_piece_and_no_filter_may_touch_it() {
        let content = render(
            "t",
            "a={{ secrets.db_password }};{{ secrets[\"proxy-key\"] }}",
            &context(),
            &known(),
        )
        .expect("renders");
        assert_eq!(
            content.redacted(),
            "a=<secret:db_password>;<secret:proxy-key>"
        );
        assert_eq!(content.secrets().count(), 2);
        for template in [
            "{{ secrets.db_password | yaml }}",
            "{{ secrets.db_password | upper }}",
        ] {
            assert!(problems(template)[0].starts_with("TPL005"), "{template}");
        }
    }
}
