//! Colours by meaning. Never colour alone: every coloured word also says what it means.

use owo_colors::OwoColorize as _;

/// Added, done, healthy.
pub fn good(text: &str) -> String {
    text.green().to_string()
}

/// Changed, worth a look.
pub fn warn(text: &str) -> String {
    text.yellow().to_string()
}

/// Removed, failed, dangerous.
pub fn bad(text: &str) -> String {
    text.red().bold().to_string()
}

/// Names of things and commands.
pub fn name(text: &str) -> String {
    text.cyan().to_string()
}

/// What leads on.
pub fn hint(text: &str) -> String {
    text.cyan().bold().to_string()
}

/// Less important.
pub fn faint(text: &str) -> String {
    text.dimmed().to_string()
}
