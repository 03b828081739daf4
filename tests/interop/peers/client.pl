# A client of Perl's Gearman::Client, driven by JSON lines; tests/interop/clients.py tells what they mean.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Gearman::Client;
use JSON::PP;
use MIME::Base64;

sub shown {
    my ($data) = @_;
    my $length = length $data;
    return encode_base64($length <= 1024 ? $data : 'sha256 ' . sha256_hex($data) . " of $length", '');
}

sub workload {
    my ($text) = @_;
    return decode_base64($text) unless $text =~ /^@(\d+)$/;
    return substr(join('', map { chr } 0 .. 255) x ($1 / 256 + 1), 0, $1);
}

my $client = Gearman::Client->new(job_servers => ["127.0.0.1:$ARGV[0]"], exceptions => 1);

sub options {
    my ($job) = @_;
    return (uniq => $job->{unique}, $job->{priority} eq 'normal' ? () : (priority => $job->{priority}));
}

sub run {
    my @outcomes;
    my $set = $client->new_task_set;
    for my $job (@_) {
        my $outcome = { data => [], warnings => [], progress => undef, end => '', result => '' };
        push @outcomes, $outcome;
        my $end = sub { ($outcome->{end}, my $result) = @_; $outcome->{result} = shown($result); };
        my $workload = workload($job->{workload});
        $set->add_task(
            $job->{function},
            \$workload,
            {   options($job),
                on_data      => sub { push @{ $outcome->{data} }, shown(${ $_[0] }) },
                on_warning   => sub { push @{ $outcome->{warnings} }, shown(${ $_[0] }) },
                on_status    => sub { $outcome->{progress} = [$_[0] + 0, $_[1] + 0] },
                on_complete  => sub { $end->('complete', ${ $_[0] }) },
                on_exception => sub { $end->('exception', $_[0]) },
                on_fail      => sub { $end->('fail', '') },
            }
        );
    }
    $set->wait(timeout => 60);
    return \@outcomes;
}

my %steps = (
    run    => sub { run(@{ $_[0]{jobs} }) },
    submit => sub {
        my ($job) = @{ $_[0]{jobs} };
        my $workload = workload($job->{workload});
        my $handle = $client->dispatch_background($job->{function}, \$workload, { options($job) });
        die 'not submitted' unless $handle;
        return $handle;
    },
    status => sub {
        my $status = $client->get_status($_[0]{handle});
        my $progress = $status->progress;
        return [map { $_ + 0 } $status->known, $status->running, @{$progress}];
    },
    server_status => sub { $client->get_job_server_status },
);

$| = 1;
while (my $line = <STDIN>) {
    my $step = decode_json($line);
    print JSON::PP->new->allow_nonref->encode($steps{ $step->{do} }->($step)), "\n";
}
