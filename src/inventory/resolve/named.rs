//! Addresses by the names of what has them.

use super::{Noun, Scope, names::entries};
use crate::inventory::{
    codes,
    document::Document,
    source::Span,
    word::CardAddress,
    written::{At, Many, May},
};
use std::net::IpAddr;

/// Addresses as written, or those of a node, guest, host or set, with the place of the word.
pub(super) fn addresses(
    document: &Document,
    at: &May<Many<String>>,
    scope: &mut Scope<'_>,
) -> Vec<(IpAddr, Span)> {
    let words = at
        .iter()
        .filter_map(|at| at.value.as_ref())
        .flat_map(|many| &many.0);
    let mut out = Vec::new();
    for word in words {
        let Some(text) = &word.value else { continue };
        if let Ok(address) = text.parse() {
            out.push((address, word.span));
        } else if scope.knows(Noun::Host, text) || scope.knows(Noun::Set, text) {
            out.extend(
                of(document, text)
                    .into_iter()
                    .map(|address| (address, word.span)),
            );
        } else {
            unknown(word, text, scope);
        }
    }
    out
}

fn unknown(word: &At<String>, text: &str, scope: &mut Scope<'_>) {
    scope
        .error(
            codes::INVALID_ADDRESS,
            format!("`{text}` is no address, no host and no set"),
        )
        .at(word.span, "expected: address")
        .help("write an address, or the name of the host or set that has it");
}

/// The single addresses of a name, taken from the document: what they belong to may not be resolved yet.
fn of(document: &Document, name: &str) -> Vec<IpAddr> {
    let mut words: Vec<&str> = Vec::new();
    for (key, at) in entries(&document.sets) {
        if key.value.as_deref() == Some(name) {
            let members = at
                .value
                .iter()
                .flatten()
                .filter_map(|at| at.value.as_deref());
            words.extend(members.filter(|word| !word.contains('/')));
        }
    }
    for (key, at) in entries(&document.nodes) {
        if let (Some(node), true) = (&at.value, key.value.as_deref() == Some(name)) {
            let many = node.address.value.iter().flat_map(|many| &many.0);
            words.extend(many.filter_map(|at| Some(at.value.as_ref()?.text.as_str())));
        }
    }
    for (key, at) in entries(&document.hosts) {
        if let (Some(host), true) = (&at.value, key.value.as_deref() == Some(name)) {
            words.extend(host.address.value.as_ref().map(|word| word.text.as_str()));
        }
    }
    for (key, at) in entries(&document.guests) {
        if let (Some(guest), true) = (&at.value, key.value.as_deref() == Some(name)) {
            let nics = guest.nics.value.iter().flat_map(|many| &many.0);
            let many = nics.filter_map(|at| at.value.as_ref()?.address.value.as_ref());
            let words_of = many.flat_map(|many| &many.0);
            words.extend(words_of.filter_map(|at| Some(at.value.as_ref()?.text.as_str())));
        }
    }
    let single = |word: &str| {
        let card: CardAddress = word.parse().ok()?;
        Some(card.address)
    };
    words.into_iter().filter_map(single).collect()
}
