//! Where text goes: stdout is the answer, stderr is the talk.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

/// How loud and how colourful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loudness {
    /// Only answers and failures.
    pub quiet: bool,
    /// Everything.
    pub verbose: bool,
    /// No colour, whatever the terminal can.
    pub plain: bool,
}

/// The two streams. Colours are stripped where nobody sees them.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    loudness: Loudness,
    /// Takes what is said in place of the streams.
    record: Option<&'static Record>,
}

/// What was said while nobody was looking: lines without colours.
#[derive(Debug, Default)]
pub struct Record {
    answers: Mutex<String>,
    talk: Mutex<String>,
}

impl Record {
    /// What would have gone to stdout since the last time.
    pub fn take_answers(&self) -> String {
        taken(&self.answers)
    }

    /// What would have gone to stderr since the last time.
    pub fn take_talk(&self) -> String {
        taken(&self.talk)
    }
}

fn taken(text: &Mutex<String>) -> String {
    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *text)
}

fn keep(kept: &Mutex<String>, text: &str) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push_str(&anstream::adapter::strip_str(text).to_string());
}

impl Terminal {
    /// Decides about colour once: `NO_COLOR`, pipes and dumb terminals have none.
    pub fn new(loudness: Loudness) -> Self {
        if loudness.plain {
            anstream::ColorChoice::Never.write_global();
        }
        Self {
            loudness,
            record: None,
        }
    }

    /// One that keeps what is said. It is made a handful of times in a run, and never given back.
    pub fn recording() -> (Self, &'static Record) {
        let record: &'static Record = Box::leak(Box::default());
        let loudness = Loudness {
            plain: true,
            ..Loudness::default()
        };
        let terminal = Self {
            loudness,
            record: Some(record),
        };
        (terminal, record)
    }

    /// How loud.
    pub fn loudness(&self) -> Loudness {
        self.loudness
    }

    /// Whether progress can be drawn.
    pub fn draws(&self) -> bool {
        self.record.is_none() && std::io::stderr().is_terminal() && !self.loudness.plain
    }

    /// Whether somebody can be asked.
    pub fn can_ask(&self) -> bool {
        self.record.is_none() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Writes the answer. A reader that went away ends nothing but the writing.
    pub fn answer(&self, text: &str) {
        if let Some(record) = self.record {
            return keep(&record.answers, text);
        }
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes an answer as JSON.
    pub fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value)
            .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        self.answer(&(text + "\n"));
    }

    /// Tells something beside the answer.
    pub fn tell(&self, text: &str) {
        if let Some(record) = self.record {
            return keep(&record.talk, &format!("{text}\n"));
        }
        if !self.loudness.quiet {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// Tells a failure, however quiet.
    pub fn complain(&self, text: &str) {
        if let Some(record) = self.record {
            return keep(&record.talk, &format!("{text}\n"));
        }
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Asks; the answer is trimmed. None at the end of input.
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut err = anstream::stderr().lock();
        let _ = write!(err, "{question} ").and_then(|()| err.flush());
        drop(err);
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 => Some(line.trim().to_owned()),
            Ok(_) | Err(_) => None,
        }
    }
}
