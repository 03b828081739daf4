use strict;
use warnings;
use Gearman::Worker;

my $worker = Gearman::Worker->new(job_servers => ['127.0.0.1:4730']);
$worker->register_function(shout => sub { uc $_[0]->arg });

$worker->work while 1;
