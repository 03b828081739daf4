<?php
// A worker of PHP's extension (libgearman) with the abilities that tests/interop/workers.py lists.
declare(strict_types=1);

$worker = new GearmanWorker();
$worker->addServer('127.0.0.1', (int) $argv[1]);
$worker->setId('php-worker');

$abilities = [
    'reverse' => fn (GearmanJob $job): string => strrev($job->workload()),
    'echo' => fn (GearmanJob $job): string => $job->workload(),
    'empty' => fn (GearmanJob $job): string => '',
    'unique' => fn (GearmanJob $job): string => $job->unique(),
    'chunks' => function (GearmanJob $job): string {
        $job->sendData("one\0");
        $job->sendData("two\n");
        $job->sendData('');
        return 'end';
    },
    'warn' => function (GearmanJob $job): string {
        $job->sendWarning("careful\0\n");
        return 'warned';
    },
    'progress' => function (GearmanJob $job): string {
        for ($done = 1; $done <= 4; $done++) {
            $job->sendStatus($done, 4);
        }
        return 'done';
    },
    'fail' => function (GearmanJob $job): void {
        $job->sendFail();
    },
    'raise' => function (GearmanJob $job): void {
        $job->sendException("boom\0\n");
    },
    'hold' => function (GearmanJob $job): string {
        $job->sendStatus(1, 2);
        while (!file_exists($job->workload())) {
            usleep(5000);
            clearstatcache();
        }
        $job->sendStatus(2, 2);
        return 'released';
    },
];
foreach (array_slice($argv, 2) ?: array_keys($abilities) as $name) {
    $worker->addFunction($name, $abilities[$name]);
}

// A server that goes away makes work() return false; the next call connects again.
while (true) {
    $worker->work() || usleep(50000);
}
