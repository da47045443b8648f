//! `infra firewall matrix`: the effective matrix, printed or exported.

use crate::cli::{context::Context, exit, failure::Failure, live, session::Session, system};
use crate::firewall::{
    Matrix,
    analysis::{self, Enforcement, Table, disagreements, table},
};
use crate::model::secret::SecretValues;
use crate::plan::compile;
use crate::view::{human, matrix};
use clap::{Args, ValueEnum};

/// Options of `infra firewall matrix`.
#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Derive it from the rules that are enforced right now, and say where they differ from the inventory
    #[arg(long)]
    pub(crate) live: bool,
}

/// How the matrix is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for the terminal
    Text,
    /// A table for documents
    Markdown,
    /// One line a cell
    Csv,
    /// A picture
    Svg,
    /// A page that needs nothing else
    Html,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &MatrixArgs) -> Result<u8, Failure> {
    if args.live {
        let format = args.format;
        return live::with(context, move |session| {
            Box::pin(async move { observed(context, format, &session).await })
        });
    }
    let system = system::load(context)?;
    let (compiled, _) = compile(&system.desired, &SecretValues::default());
    let rows = Matrix::of(&system.desired);
    let enforcement = Enforcement::of_compiled(&system.desired, &compiled.firewall);
    let found = table(&system.desired, &rows, &enforcement);
    show(context, args.format, system.desired.system.as_str(), &found);
    Ok(exit::DONE)
}

async fn observed(context: &Context, format: Format, session: &Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let seen = analysis::live(desired, &session.look().await);
    let rows = Matrix::of(desired);
    let found = table(desired, &rows, &seen.enforcement);
    let wrong = disagreements(desired, &rows, &seen.enforcement);
    let unread: Vec<String> = seen
        .enforcement
        .unread()
        .into_iter()
        .map(|(host, rule)| format!("{host}: {rule}"))
        .collect();
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "system": desired.system,
            "matrix": found,
            "differs": wrong,
            "unread": unread,
            "unseen": seen.unseen,
        }));
    } else {
        show(context, format, desired.system.as_str(), &found);
        let text = human::disagreements(&wrong, &unread, &seen.unseen);
        context.terminal.tell(text.trim_end());
    }
    Ok(if !seen.unseen.is_empty() {
        exit::UNREACHABLE
    } else if wrong.is_empty() && unread.is_empty() {
        exit::DONE
    } else {
        exit::CHECK_FAILED
    })
}

fn show(context: &Context, format: Format, name: &str, found: &Table) {
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "system": name, "matrix": found }));
        return;
    }
    let text = match format {
        Format::Text => human::matrix(found),
        Format::Markdown => matrix::markdown(found),
        Format::Csv => matrix::csv(found),
        Format::Svg => matrix::svg(name, found),
        Format::Html => matrix::html(name, found),
    };
    context.terminal.answer(&text);
}
