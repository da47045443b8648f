//! The wire form of one question and its answer, RFC 1035.

use super::{Answer, Names};
use std::net::Ipv4Addr;

const HEADER: usize = 12;
/// Long enough to spare repeated questions, short enough to forget a lab that was rebuilt.
const TTL_SECONDS: u32 = 60;

/// What is asked for. Anything else than an address has an empty answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// A name for an address.
    Ptr,
    /// Any other type, by its number (AAAA is 28).
    Other(u16),
}

/// The question of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    id: u16,
    recursion_desired: bool,
    opcode: u8,
    /// The name, in the case in which it was asked, without the dot at the end.
    pub name: String,
    /// The type.
    pub kind: Kind,
    /// Name, type and class as they stood on the wire, to be repeated.
    raw: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Code {
    NoError = 0,
    FormErr = 1,
    NxDomain = 3,
    NotImp = 4,
}

/// Reads the question of a query; `None` when the message is no query with exactly one question.
pub fn question(message: &[u8]) -> Option<Question> {
    let word = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    let flags = word(2)?;
    let is_response = flags & 0x8000 != 0;
    if is_response || word(4)? != 1 {
        return None;
    }
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // A question comes first in its message, so it has nothing to point back to.
        if length > 63 || labels.len() > 127 {
            return None;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).into_owned());
        at += length;
    }
    let kind = match word(at)? {
        1 => Kind::A,
        12 => Kind::Ptr,
        other => Kind::Other(other),
    };
    word(at + 2)?;
    Some(Question {
        id: word(0)?,
        recursion_desired: flags & 0x0100 != 0,
        opcode: u8::try_from((flags >> 11) & 0xf).unwrap_or(0),
        name: labels.join("."),
        kind,
        raw: message.get(HEADER..at + 4)?.to_vec(),
    })
}

/// The answer to a message; `None` when it deserves none (too short to carry an id, or itself an answer).
pub fn answer(message: &[u8], names: &Names) -> Option<Vec<u8>> {
    let Some(question) = question(message) else {
        let id = [*message.first()?, *message.get(1)?];
        let is_response = message.get(2)? & 0x80 != 0;
        return (!is_response).then(|| header(id, 0, false, Code::FormErr, 0, 0));
    };
    let (code, address) = if question.opcode == 0 {
        reply(&question, names)
    } else {
        (Code::NotImp, None)
    };
    let mut out = header(
        question.id.to_be_bytes(),
        question.opcode,
        question.recursion_desired,
        code,
        1,
        u8::from(address.is_some()),
    );
    out.extend_from_slice(&question.raw);
    if let Some(address) = address {
        out.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1]);
        out.extend_from_slice(&TTL_SECONDS.to_be_bytes());
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&address.octets());
    }
    Some(out)
}

fn reply(question: &Question, names: &Names) -> (Code, Option<Ipv4Addr>) {
    match (names.lookup(&question.name), question.kind) {
        (Answer::Address(address), Kind::A) => (Code::NoError, Some(address)),
        (Answer::Address(_), Kind::Ptr | Kind::Other(_)) => (Code::NoError, None),
        (Answer::Absent, Kind::A | Kind::Ptr | Kind::Other(_)) => (Code::NxDomain, None),
    }
}

fn header(id: [u8; 2], opcode: u8, rd: bool, code: Code, questions: u8, answers: u8) -> Vec<u8> {
    // QR and AA; RA, since stub resolvers distrust a server that does not recurse.
    let first = 0x80 | (opcode << 3) | 0x04 | u8::from(rd);
    let second = 0x80 | code as u8;
    vec![
        id[0], id[1], first, second, 0, questions, 0, answers, 0, 0, 0, 0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn names() -> Names {
        Names::new(&BTreeMap::new(), Ipv4Addr::new(203, 0, 113, 10))
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")
            })
            .collect()
    }

    /// `dig Ghcr.io A` of BIND 9.18, with its EDNS option and cookie.
    const DIG_A: &str = "34e601200001000000000001044768637202696f000001000100002904d000000000000c000a00082f99aa2cd236a482";
    /// `dig +noedns registry-1.docker.io AAAA`.
    const DIG_AAAA: &str =
        "8e8b012000010000000000000a72656769737472792d3106646f636b657202696f00001c0001";
    /// `dig -x 192.168.1.20`.
    const DIG_PTR: &str = "8108012000010000000000010232300131033136380331393207696e2d61646472046172706100000c000100002904d000000000000c000a00086694d8de693acec4";
    /// `dig +noedns +opcode=notify example.org`.
    const DIG_NOTIFY: &str = "23ed21200001000000000000076578616d706c65036f72670000010001";

    #[test]
    fn an_address_is_answered_with_the_question_as_it_was_asked() {
        let asked = question(&bytes(DIG_A)).expect("a question");
        assert_eq!((asked.name.as_str(), asked.kind), ("Ghcr.io", Kind::A));
        let reply = answer(&bytes(DIG_A), &names()).expect("an answer");
        let expected = bytes(
            "34e6 8580 0001 0001 0000 0000 044768637202696f00 0001 0001 c00c 0001 0001 0000003c 0004 cb00710a",
        );
        assert_eq!(reply, expected);
    }

    #[test]
    fn a_name_without_ipv6_exists_and_has_no_such_address() {
        let reply = answer(&bytes(DIG_AAAA), &names()).expect("an answer");
        assert_eq!(&reply[2..12], bytes("8580 0001 0000 0000 0000"));
    }

    #[test]
    fn an_address_has_no_name() {
        let asked = question(&bytes(DIG_PTR)).expect("a question");
        assert_eq!(asked.name, "20.1.168.192.in-addr.arpa");
        let reply = answer(&bytes(DIG_PTR), &names()).expect("an answer");
        assert_eq!(&reply[2..8], bytes("8583 0001 0000"));
    }

    #[test]
    fn other_operations_are_not_implemented() {
        let reply = answer(&bytes(DIG_NOTIFY), &names()).expect("an answer");
        assert_eq!(&reply[2..4], bytes("a584"));
    }

    #[test]
    fn broken_messages_get_a_format_error_or_silence() {
        let whole = bytes(DIG_A);
        for cut in 4..whole.len() - 23 - 4 {
            let reply = answer(&whole[..cut], &names()).expect("an answer");
            assert_eq!(reply[3] & 0xf, 1, "cut at {cut}");
        }
        assert_eq!(answer(&[1], &names()), None);
        let own_answer = answer(&whole, &names()).expect("an answer");
        assert_eq!(answer(&own_answer, &names()), None);
        let mut pointer = whole;
        pointer[12] = 0xc0;
        assert_eq!(answer(&pointer, &names()).expect("an answer")[3] & 0xf, 1);
    }
}
