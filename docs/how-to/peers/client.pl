use strict;
use warnings;
use Gearman::Client;

my $client = Gearman::Client->new(job_servers => ['127.0.0.1:4730']);

my $result = $client->do_task('reverse', '!dlrow olleH');
print "$$result\n";

my $handle = $client->dispatch_background('reverse', 'later');
