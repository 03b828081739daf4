<?php
$worker = new GearmanWorker();
$worker->addServer('127.0.0.1', 4730);
$worker->addFunction('shout', function (GearmanJob $job): string {
    $job->sendStatus(1, 1);
    return strtoupper($job->workload());
});

while ($worker->work());
