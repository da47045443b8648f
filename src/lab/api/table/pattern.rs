//! The patterns of the schema that the table uses, each with the test that it stands for.

/// Whether a whole text has the form that a pattern of the schema describes. False for a pattern nobody wrote down
/// here; a test keeps the list complete.
pub(crate) fn is_match(pattern: &str, text: &str) -> bool {
    known(pattern).is_some_and(|test| test(text))
}

/// The test behind a pattern.
pub(crate) fn known(pattern: &str) -> Option<fn(&str) -> bool> {
    PATTERNS
        .iter()
        .find(|(written, _)| *written == pattern)
        .map(|(_, test)| *test)
}

type Test = (&'static str, fn(&str) -> bool);

const PATTERNS: &[Test] = &[
    (r"[a-zA-Z][a-zA-Z0-9]*[a-zA-Z0-9]", |text| {
        text.len() >= 2
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
    }),
    // `)-_` is a range of the character table: punctuation, digits, capitals.
    (r"(?^i:[\(\)-_.\w\d\s]{0,256})", |text| {
        text.chars().count() <= 256
            && text.chars().all(|c| {
                c == '(' || (')'..='_').contains(&c) || c.is_alphanumeric() || c.is_whitespace()
            })
    }),
    (r"(ide|sata|scsi|virtio)\d+", |text| {
        ["ide", "sata", "scsi", "virtio"]
            .iter()
            .any(|bus| text.strip_prefix(bus).is_some_and(is_digits))
    }),
    (r"(/dev/[^,]+|socket)", |text| {
        text == "socket"
            || text
                .strip_prefix("/dev/")
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(','))
    }),
    (r"/dev/parport\d+|/dev/usb/lp\d+", |text| {
        ["/dev/parport", "/dev/usb/lp"]
            .iter()
            .any(|prefix| text.strip_prefix(prefix).is_some_and(is_digits))
    }),
    (
        r"(now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?)",
        |text| text == "now" || is_date(text),
    ),
    (
        r"(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])",
        |text| matches!(text, "0" | "1") || is_uuid(text),
    ),
    (r"[A-Za-z0-9\-_\s]{,16}", |text| is_label(text, 16)),
    (r"[A-Za-z0-9\-_\s]{,8}", |text| is_label(text, 8)),
    (r"(?^:^(0x)[0-9a-fA-F]{16})", |text| {
        text.strip_prefix("0x")
            .is_some_and(|hex| hex.len() == 16 && is_hex(hex))
    }),
    (r"(?^:\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*)", |text| {
        text.split(';').all(|range| range.split('-').all(is_digits))
    }),
    (r"(?^:\d+(?:;\d+)*)", |text| text.split(';').all(is_digits)),
    (r"[a-zA-Z0-9\-]+", |text| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }),
    (MACHINE, is_machine),
    (USB, |text| {
        text.eq_ignore_ascii_case("spice")
            || text.split_once(':').is_some_and(|(vendor, product)| {
                let id = |part: &str| {
                    let part = part.strip_prefix("0x").unwrap_or(part);
                    part.len() == 4 && is_hex(part)
                };
                id(vendor) && id(product)
            })
            || text
                .split_once('-')
                .is_some_and(|(bus, port)| is_digits(bus) && port.split('.').all(is_digits))
    }),
    (r"[A-Za-z][A-Za-z0-9\-\_]+", is_name),
    (r"\d+[MG]?", |text| {
        let digits = text.strip_suffix(['M', 'G']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }),
    (r"\+?\d+(\.\d+)?[KMGT]?", |text| {
        let text = text.strip_prefix('+').unwrap_or(text);
        let number = text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text);
        number.split('.').count() <= 2 && number.split('.').all(is_digits)
    }),
    (r"https?://.*", |text| {
        text.starts_with("http://") || text.starts_with("https://")
    }),
    (r"/var/tmp/pveupload-[0-9a-f]+", |text| {
        text.strip_prefix("/var/tmp/pveupload-")
            .is_some_and(|hex| !hex.is_empty() && is_hex(hex))
    }),
    (r"(?^:[A-Za-z][A-Za-z0-9\.\-_]+)", is_token_id),
    (r"net\d+=\d+(,net\d+=\d+)*", |text| {
        text.split(',').all(|pair| {
            pair.strip_prefix("net")
                .and_then(|pair| pair.split_once('='))
                .is_some_and(|(card, model)| is_digits(card) && is_digits(model))
        })
    }),
    (r"[1-9][0-9]*\/(second|minute|hour|day)", |text| {
        text.split_once('/').is_some_and(|(count, unit)| {
            is_digits(count)
                && !count.starts_with('0')
                && matches!(unit, "second" | "minute" | "hour" | "day")
        })
    }),
    (PCI, |text| {
        text.split(';').all(|address| {
            let parts: Vec<&str> = address.split([':', '.']).collect();
            matches!(parts.len(), 3 | 4)
                && parts.iter().all(|part| !part.is_empty() && is_hex(part))
        })
    }),
    (r"(?^:^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$)", |text| {
        text.split(':').count() == 2 && text.split(':').all(|part| part.len() == 4 && is_hex(part))
    }),
    (r"(?^:^(\d+)\-(\d+(\.\d+)*)$)", |text| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        text.split_once('-')
            .is_some_and(|(bus, port)| is_number(bus) && port.split('.').all(is_number))
    }),
    (OWNER, |text| {
        let (user, token) = text
            .split_once('!')
            .map_or((text, None), |(user, token)| (user, Some(token)));
        user.contains('@') && token.is_none_or(is_token_id)
    }),
    (r"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}", |text| {
        text.split(':').count() == 32 && text.split(':').all(|part| part.len() == 2 && is_hex(part))
    }),
    (r"[0-9a-zA-Z!=]{0,4096}", |text| {
        text.len() <= 4096
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'!' | b'='))
    }),
    (r"[1-9][0-9]{2,8}-\d{1,9}", |text| {
        text.split_once('-').is_some_and(|(vmid, number)| {
            is_digits(vmid)
                && (3..=9).contains(&vmid.len())
                && !vmid.starts_with('0')
                && is_digits(number)
        })
    }),
];

const PCI: &str = r"(?:[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?;)*[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?";
const OWNER: &str =
    r"(?^:^(?^:[^\s:/]+)\@(?^:[A-Za-z][A-Za-z0-9\.\-_]+)(?:!(?^:[A-Za-z][A-Za-z0-9\.\-_]+))?$)";
const MACHINE: &str = r"(pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?)";
const USB: &str = r"(?^:(?:(?:(?^:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?^:(\d+)\-(\d+(\.\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))";

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_label(text: &str, most: usize) -> bool {
    text.len() <= most
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b' ' | b'\t'))
}

fn is_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_token_id(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && is_hex(part))
}

fn is_date(text: &str) -> bool {
    let (day, time) = text
        .split_once('T')
        .map_or((text, None), |(d, t)| (d, Some(t)));
    let short = |part: &str| is_digits(part) && part.len() <= 2;
    let parts: Vec<&str> = day.split('-').collect();
    let day_fits = parts.len() == 3
        && parts[0].len() == 4
        && is_digits(parts[0])
        && short(parts[1])
        && short(parts[2]);
    let time_fits =
        time.is_none_or(|time| time.split(':').count() == 3 && time.split(':').all(short));
    day_fits && time_fits
}

fn is_machine(text: &str) -> bool {
    if matches!(text, "pc" | "q35" | "virt") {
        return true;
    }
    let text = text.strip_suffix(".pxe").unwrap_or(text);
    let text = match text.rsplit_once("+pve") {
        Some((rest, revision)) if is_digits(revision) => rest,
        _ => text,
    };
    ["pc-i440fx-", "pc-q35-", "virt-", "pc-"]
        .iter()
        .any(|prefix| {
            text.strip_prefix(prefix)
                .is_some_and(|version| version.contains('.') && version.split('.').all(is_digits))
        })
}
