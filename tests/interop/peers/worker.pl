# A worker of Perl's Gearman::Worker with the abilities that tests/interop/workers.py lists; it cannot tell the unique ID.
use strict;
use warnings;
use Gearman::Worker;
use Time::HiRes qw(sleep);

my ($port, @names) = @ARGV;
my $worker = Gearman::Worker->new(job_servers => ["127.0.0.1:$port"], client_id => 'perl-worker');

my %abilities = (
    reverse => sub { my $result = reverse $_[0]->arg; $result },
    echo    => sub { $_[0]->arg },
    empty   => sub { '' },
    chunks  => sub {
        $worker->send_work_data($_[0], $_) for "one\0", "two\n", '';
        return 'end';
    },
    warn => sub {
        $worker->send_work_warning($_[0], "careful\0\n");
        return 'warned';
    },
    progress => sub {
        $_[0]->set_status($_, 4) for 1 .. 4;
        return 'done';
    },
    fail  => sub { undef },
    raise => sub { die "boom\n" },
    hold  => sub {
        $_[0]->set_status(1, 2);
        sleep 0.005 until -e $_[0]->arg;
        $_[0]->set_status(2, 2);
        return 'released';
    },
);

$worker->register_function($_, $abilities{$_}) for @names ? @names : sort keys %abilities;
$worker->work;
