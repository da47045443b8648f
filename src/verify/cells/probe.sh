# Knocks at many doors at once. Standard input: `ID PROTO WHERE PORT`, separated by TAB; WHERE is an address or a name.
# Argument: tenths of a second to wait. Output: `ID FROM SPORT TO OUTCOME`, separated by TAB; OUTCOME is open, refused,
# silent, unreachable, unresolved or unable (this machine lets nobody but root send echo requests). Perl, because every Debian has it, and one process asks for all.
exec ${into-} perl -e '
use strict; use Socket qw(:all); use Fcntl; use POSIX ();
my $wait = shift; my (@open, %name); my $ids = 0; my $hz = POSIX::sysconf(POSIX::_SC_CLK_TCK());
sub now { (POSIX::times())[0] / $hz }
sub say_it { print join("\t", @_), "\n" }
sub plain { my $a = shift; return ("-", 0) unless $a; my ($p, $i) = sockaddr_family($a) == AF_INET6 ? unpack_sockaddr_in6($a) : unpack_sockaddr_in($a);
  return (inet_ntop(sockaddr_family($a), $i), $p) }
sub resolve { my $n = shift; return $name{$n} if exists $name{$n}; my @r;
  eval { local $SIG{ALRM} = sub { die }; alarm 6; my ($e, @a) = getaddrinfo($n, "", { family => AF_INET, socktype => SOCK_STREAM }); alarm 0;
    @r = plain($a[0]{addr}) if !$e && @a; }; alarm 0; return $name{$n} = $r[0] }
sub sum { my $t = 0; $t += $_ for unpack("n*", shift); $t = ($t >> 16) + ($t & 0xffff) while $t >> 16; return ~$t & 0xffff }
sub echo { my ($f, $id) = @_; my ($type, $text) = ($f == AF_INET6 ? 128 : 8, "infra probe!"); my $m = pack("CCnnn", $type, 0, 0, $id, 1) . $text;
  return $f == AF_INET6 ? $m : pack("CCnnn", $type, 0, sum($m), $id, 1) . $text }
# A reply to our request; what else comes from there is none.
sub replied { my ($s, $raw) = @_; my $d; return "silent" unless defined recv($s, $d, 512, 0);
  $d = substr($d, 4 * (ord($d) & 15)) if $raw && ord($d) >> 4 == 4; my ($type, undef, undef, $id) = unpack("CCnn", $d);
  return ($type == 0 || $type == 129) && (!$raw || $id == $raw) ? "open" : "" }
sub result { my ($s, $proto, $raw) = @_; return replied($s, $raw) if $proto eq "icmp"; if ($proto ne "tcp") { my $d; return defined recv($s, $d, 512, 0) ? "open" : $!{ECONNREFUSED} ? "refused" : "silent" }
  my $e = unpack("i", getsockopt($s, SOL_SOCKET, SO_ERROR)); $! = $e; return $e == 0 ? "open" : $!{ECONNREFUSED} ? "refused" : $!{ETIMEDOUT} ? "silent" : "unreachable" }
sub knock { my @batch = @_; @open = ();
  for (@batch) { my ($id, $proto, $to, $port) = @$_; my $a = $to =~ /^[0-9.]+$|:/ ? $to : resolve($to);
    unless ($a) { say_it($id, "-", 0, "-", "unresolved"); next }
    my $f = $a =~ /:/ ? AF_INET6 : AF_INET; my $ip = inet_pton($f, $a); my $sa = $f == AF_INET6 ? pack_sockaddr_in6($port, $ip) : pack_sockaddr_in($port, $ip);
    my $number = $proto ne "icmp" ? 0 : $f == AF_INET6 ? 58 : 1; my $raw = $number && $> == 0 ? 1 + ($$ + $ids++) % 65000 : 0;
    unless (socket(my $s, $f, $proto eq "tcp" ? SOCK_STREAM : $raw ? SOCK_RAW : SOCK_DGRAM, $number)) { say_it($id, "-", 0, $a, $number ? "unable" : "unreachable") }
    else { fcntl($s, F_SETFL, fcntl($s, F_GETFL, 0) | O_NONBLOCK); my $ok = connect($s, $sa); my $progress = $!{EINPROGRESS};
      unless ($ok || $progress) { say_it($id, plain(getsockname($s)), $a, $!{ECONNREFUSED} ? "refused" : "unreachable"); next }
      send($s, $number ? echo($f, $raw) : "\0", 0) if $proto ne "tcp";
      my ($own, $sport) = plain(getsockname($s)); push @open, [$id, $proto, $a, $s, $own, $raw || $sport, $raw] } }
  my $end = now() + $wait / 10;
  while (@open) { my $left = $end - now(); last if $left <= 0; my ($r, $w) = ("", "");
    for (@open) { if ($_->[1] ne "tcp") { vec($r, fileno($_->[3]), 1) = 1 } else { vec($w, fileno($_->[3]), 1) = 1 } }
    select(my $ro = $r, my $wo = $w, undef, $left) or last; my @rest;
    for (@open) { my ($id, $proto, $a, $s, $from, $sport, $raw) = @$_; my $n = fileno($s);
      my $said = ($proto ne "tcp" ? vec($ro, $n, 1) : vec($wo, $n, 1)) ? result($s, $proto, $raw) : "";
      if ($said) { say_it($id, $from, $sport, $a, $said) } else { push @rest, $_ } }
    @open = @rest }
  say_it($_->[0], $_->[4], $_->[5], $_->[2], "silent") for @open }
my @all = map { chomp; [split /\t/] } <STDIN>;
knock(splice(@all, 0, 300)) while @all;
' "$1"
