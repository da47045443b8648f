//! The macros that people use, by what they open (`pve-firewall` macro table, PVE 9).

/// One thing a macro matches: protocol, destination ports (or the ICMP type of `icmp`).
pub(super) type MacroPart = (&'static str, &'static str);

/// What a macro stands for; none for one that the lab does not know, so that its rule is skipped. Names ignore case.
pub(super) fn parts(name: &str) -> Option<&'static [MacroPart]> {
    TABLE
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, parts)| *parts)
}

const TABLE: &[(&str, &[MacroPart])] = &[
    ("BGP", &[("tcp", "179")]),
    (
        "Ceph",
        &[("tcp", "6789"), ("tcp", "3300"), ("tcp", "6800:7300")],
    ),
    ("DHCPfwd", &[("udp", "67:68")]),
    ("DNS", &[("udp", "53"), ("tcp", "53")]),
    ("FTP", &[("tcp", "21")]),
    ("Git", &[("tcp", "9418")]),
    ("HTTP", &[("tcp", "80")]),
    ("HTTP/3", &[("udp", "443")]),
    ("HTTPS", &[("tcp", "443")]),
    ("IMAP", &[("tcp", "143")]),
    ("IMAPS", &[("tcp", "993")]),
    ("LDAP", &[("tcp", "389")]),
    ("LDAPS", &[("tcp", "636")]),
    ("Mail", &[("tcp", "25"), ("tcp", "465"), ("tcp", "587")]),
    ("MySQL", &[("tcp", "3306")]),
    ("NTP", &[("udp", "123")]),
    ("OpenVPN", &[("udp", "1194")]),
    ("PMG", &[("tcp", "8006")]),
    ("POP3", &[("tcp", "110")]),
    ("POP3S", &[("tcp", "995")]),
    ("Ping", &[("icmp", "echo-request")]),
    ("PostgreSQL", &[("tcp", "5432")]),
    ("RDP", &[("tcp", "3389")]),
    ("Rsync", &[("tcp", "873")]),
    (
        "SMB",
        &[
            ("udp", "135,445"),
            ("udp", "137:139"),
            ("tcp", "135,139,445"),
        ],
    ),
    ("SMTP", &[("tcp", "25")]),
    ("SMTPS", &[("tcp", "465")]),
    ("SNMP", &[("udp", "161:162"), ("tcp", "161")]),
    ("SPICEproxy", &[("tcp", "3128")]),
    ("SSH", &[("tcp", "22")]),
    ("Squid", &[("tcp", "3128")]),
    ("Submission", &[("tcp", "587")]),
    ("Syslog", &[("udp", "514"), ("tcp", "514")]),
    ("Telnet", &[("tcp", "23")]),
    ("VNC", &[("tcp", "5900:5999")]),
    ("Web", &[("tcp", "80"), ("tcp", "443")]),
    ("Webcache", &[("tcp", "8080")]),
];
